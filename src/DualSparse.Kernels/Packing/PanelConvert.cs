namespace DualSparse.Kernels.Packing;

/// <summary>
/// Converts a panel of one format to another, on the caller's thread, with no memory but the stack. The result equals, to the bit, packing
/// the source's weights widened to f32 (<c>scale · integer</c>); from bf16 it equals packing the checkpoint's bf16. To f32 it is decoding:
/// [inputs, 32] f32.
/// </summary>
internal static unsafe class PanelConvert
{
    /// <summary>Converts a panel, or its first inputs.</summary>
    /// <param name="from">The source's format; the same as <paramref name="to"/>: a copy.</param>
    /// <param name="source">The panel that is read.</param>
    /// <param name="to">The target's format.</param>
    /// <param name="target">Where the new panel goes: <see cref="PanelLayout.PanelBytes"/> bytes, which must not overlap the source.</param>
    /// <param name="inputs">Inputs, a multiple of <see cref="PanelLayout.InputAlignment"/>; fewer than the source has: its prefix alone counts, for scales too.</param>
    /// <exception cref="ArgumentException">No such number of inputs.</exception>
    public static void Run(WeightFormat from, byte* source, WeightFormat to, byte* target, int inputs)
    {
        if (inputs < PanelLayout.InputAlignment || inputs % PanelLayout.InputAlignment != 0)
            throw new ArgumentException($"expected a multiple of {PanelLayout.InputAlignment} inputs, found {inputs}");
        var (old, made) = (WeightFormats.Of(from), WeightFormats.Of(to));
        // An int8 scale computed again from 127 times itself could round to its neighbour.
        if (from == to)
            Buffer.MemoryCopy(source, target, made.PanelBytes(inputs), made.PanelBytes(inputs));
        else
            made.Write(new PanelSource(old, source), inputs, target);
    }
}

using System.Numerics;
using System.Runtime.CompilerServices;

namespace DualSparse.Kernels.Packing;

/// <summary>Writes steps of f32 to a panel of any format: to the bit what <see cref="PanelPacker"/> makes of the same weights in rows.</summary>
internal static unsafe class StepWriter
{
    private const int Columns = PanelLayout.Columns;
    private const int AtOnce = PanelSource.Inputs;

    /// <summary>Into an f32 panel: <see cref="WritePanel"/>.</summary>
    public static void WriteF32(PanelSource source, int inputs, byte* panel)
    {
        for (int k = 0; k < inputs; k += AtOnce)
            source.Read(k, (float*)panel + k * (nint)Columns);
    }

    /// <summary>Into a bf16 panel.</summary>
    [SkipLocalsInit]
    public static void WriteBf16(PanelSource source, int inputs, byte* panel)
    {
        float* steps = stackalloc float[AtOnce * Columns];
        for (int k = 0; k < inputs; k += AtOnce)
        {
            source.Read(k, steps);
            Narrow(steps, (uint*)panel + k / 2 * (nint)Columns);
        }
    }

    /// <summary>Into an int8 panel. The source is read twice: a scale depends on all weights of its output.</summary>
    public static void WriteInt8(PanelSource source, int inputs, byte* panel)
    {
        float* largest = stackalloc float[Columns];
        FindLargest(source, inputs, largest);
        WriteInt8(source, inputs, largest, panel);
    }

    /// <summary>The largest magnitude of each of a panel's 32 outputs; a NaN is beyond infinity.</summary>
    [SkipLocalsInit]
    public static void FindLargest(PanelSource source, int inputs, float* largest)
    {
        float* steps = stackalloc float[AtOnce * Columns];
        // Magnitudes as the bits of floats, which are ordered as integers are.
        new Span<uint>(largest, Columns).Clear();
        for (int k = 0; k < inputs; k += AtOnce)
        {
            source.Read(k, steps);
            Largest(steps, (uint*)largest);
        }
    }

    /// <summary>Into an int8 panel, knowing the largest magnitudes: the source is read once.</summary>
    [SkipLocalsInit]
    public static void WriteInt8(PanelSource source, int inputs, float* largest, byte* panel)
    {
        float* steps = stackalloc float[AtOnce * Columns], inverses = stackalloc float[Columns];
        for (int c = 0; c < Columns; c++)
            (((float*)panel)[c], inverses[c]) = PanelPacker.Int8Scale(largest[c]);
        for (int k = 0; k < inputs; k += AtOnce)
        {
            source.Read(k, steps);
            Quantize(steps, inverses, (uint*)(panel + PanelLayout.Int8HeaderBytes) + k / 4 * (nint)Columns);
        }
    }

    /// <summary>Into an int4 panel, group by group as rows.</summary>
    [SkipLocalsInit]
    public static void WriteInt4(PanelSource source, int inputs, byte* panel)
    {
        const int group = PanelLayout.GroupInputs;
        float* steps = stackalloc float[AtOnce * Columns], rows = stackalloc float[Columns * group];
        for (int k = 0; k < inputs; k += AtOnce)
        {
            source.Read(k, steps);
            for (int g = 0; g < AtOnce; g += group, panel += PanelLayout.GroupBytes)
            {
                WordTranspose.Run((uint*)steps + g * Columns, Columns, group, Columns, (uint*)rows);
                PanelPacker.PackInt4(rows, group, panel);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow(float* steps, uint* words)
    {
        for (int k = 0; k < AtOnce; k += 2, steps += 2 * Columns, words += Columns)
        {
            for (int c = 0; c < Columns; c += Vector<float>.Count)
                (Bf16.Round(Vector.Load(steps + c)) | Bf16.Round(Vector.Load(steps + Columns + c)) << 16).Store(words + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Largest(float* steps, uint* largest)
    {
        for (int c = 0; c < Columns; c += Vector<uint>.Count)
        {
            var most = Vector.Load(largest + c);
            for (int k = 0; k < AtOnce; k++)
                most = Vector.Max(most, Vector.Load((uint*)steps + k * Columns + c) & new Vector<uint>(0x7FFFFFFF));
            most.Store(largest + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Quantize(float* steps, float* inverses, uint* words)
    {
        for (int k = 0; k < AtOnce; k += 4, steps += 4 * Columns, words += Columns)
        {
            for (int c = 0; c < Columns; c += Vector<float>.Count)
            {
                var inverse = Vector.Load(inverses + c);
                var low = Code(steps + c, inverse) | Code(steps + Columns + c, inverse) << 8;
                var high = Code(steps + 2 * Columns + c, inverse) | Code(steps + 3 * Columns + c, inverse) << 8;
                (low | high << 16).Store(words + c);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Code(float* step, Vector<float> inverse) =>
        Vector.AsVectorUInt32(Vector.Load(step) * inverse + new Vector<float>(PanelPacker.RoundPlus128)) & new Vector<uint>(0xFF);
}

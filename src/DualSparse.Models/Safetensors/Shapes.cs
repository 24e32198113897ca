namespace DualSparse.Models.Safetensors;

/// <summary>Helpers for tensor shapes.</summary>
internal static class Shapes
{
    /// <summary>A shape as messages show it: <c>[64, 32]</c>.</summary>
    public static string Show(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>The number of elements.</summary>
    /// <exception cref="OverflowException">It exceeds 2⁶³ − 1.</exception>
    public static long Count(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long size in shape)
            count = checked(count * size);
        return count;
    }
}

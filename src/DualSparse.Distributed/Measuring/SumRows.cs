using System.Numerics;
using System.Runtime.InteropServices;

namespace DualSparse.Distributed.Measuring;

/// <summary>Sums as they travel, added.</summary>
internal static class SumRows
{
    /// <summary>target ← target + row.</summary>
    /// <param name="format">How the row travels.</param>
    /// <param name="row">The row.</param>
    /// <param name="target">[hidden].</param>
    /// <param name="scratch">[hidden], used where a row has to be widened.</param>
    public static void Add(WireFormat format, ReadOnlySpan<byte> row, Span<float> target, Span<float> scratch)
    {
        if (format != WireFormat.F32)
            format.Decode(row, scratch);
        var values = format == WireFormat.F32 ? MemoryMarshal.Cast<byte, float>(row) : scratch;
        int i = 0;
        for (; i <= target.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(target[i..]) + new Vector<float>(values[i..])).CopyTo(target[i..]);
        for (; i < target.Length; i++)
            target[i] += values[i];
    }
}

using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Kernels;

namespace DualSparse.LlamaCpp.Gguf;

/// <summary>From floats to a type's bytes.</summary>
internal static class Elements
{
    /// <summary>Elements that share a scale in Q8_0.</summary>
    public const int Block = 32;

    private const int BlockBytes = 2 + Block;

    /// <summary>The bytes of so many elements; in Q8_0 they are whole blocks.</summary>
    public static long Bytes(GgufType type, long count) => type switch
    {
        GgufType.F32 => 4 * count,
        GgufType.BF16 => 2 * count,
        _ => count / Block * BlockBytes,
    };

    /// <summary>Writes all values in a type.</summary>
    public static void Write(GgufType type, ReadOnlySpan<float> values, Span<byte> to)
    {
        switch (type)
        {
            case GgufType.F32:
                MemoryMarshal.AsBytes(values).CopyTo(to);
                break;
            case GgufType.BF16:
                var halves = MemoryMarshal.Cast<byte, ushort>(to);
                for (int i = 0; i < values.Length; i++)
                    halves[i] = Bf16.FromSingle(values[i]);
                break;
            default:
                for (int block = 0; block < values.Length / Block; block++)
                    WriteBlock(values.Slice(block * Block, Block), to.Slice(block * BlockBytes, BlockBytes));
                break;
        }
    }

    // The scale makes the largest magnitude 127; it is rounded to 16 bits only where it is stored.
    private static void WriteBlock(ReadOnlySpan<float> values, Span<byte> to)
    {
        float scale = MathF.Abs(TensorPrimitives.MaxMagnitude(values)) / 127, inverse = scale == 0 ? 0 : 1 / scale;
        BinaryPrimitives.WriteHalfLittleEndian(to, (Half)scale);
        for (int i = 0; i < values.Length; i++)
            to[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse);
    }
}

using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Packing;

/// <summary>Rows of weights into a panel, rounding on the way: each row becomes words of four bytes, then words are transposed.</summary>
internal static unsafe class PanelPacker
{
    private const int Columns = PanelLayout.Columns;

    // Words of each of the 32 rows that wait in scratch: 8 KiB, a part of the first-level cache.
    private const int ChunkWords = 64;

    // Adding it to a float of magnitude below 2²¹ leaves the nearest integer (ties to even) + 128 in the low bits.
    private const float RoundPlus128 = 12582912f + 128f;

    /// <summary>Packs [32, inputs] f32 into a panel of <paramref name="format"/>.</summary>
    public static void Pack(WeightFormat format, ReadOnlySpan<float> rows, int inputs, byte* panel)
    {
        fixed (float* source = rows)
        {
            switch (format)
            {
                case WeightFormat.F32:
                    Transpose((uint*)source, inputs, (uint*)panel);
                    break;
                case WeightFormat.Bf16:
                    PackBf16(source, inputs, (uint*)panel);
                    break;
                case WeightFormat.Int8:
                    PackInt8(source, inputs, panel);
                    break;
                case WeightFormat.Int4:
                    PackInt4(source, inputs, panel);
                    break;
            }
        }
    }

    /// <summary>Packs [32, inputs] bf16, as they are, into a bf16 panel.</summary>
    public static void Pack(ReadOnlySpan<ushort> rows, int inputs, byte* panel)
    {
        fixed (ushort* source = rows)
            Transpose((uint*)source, inputs / 2, (uint*)panel);
    }

    // In pieces, so that what is written is whole cache lines before they leave the first-level cache.
    private static void Transpose(uint* source, int words, uint* steps)
    {
        for (int k = 0; k < words; k += ChunkWords)
            WordTranspose.Run(source + k, words, Columns, Math.Min(words - k, ChunkWords), steps + k * Columns);
    }

    [SkipLocalsInit]
    private static void PackBf16(float* source, int inputs, uint* steps)
    {
        uint* words = stackalloc uint[Columns * ChunkWords];
        for (int k = 0; k < inputs; k += 2 * ChunkWords)
        {
            int count = Math.Min(inputs - k, 2 * ChunkWords);
            for (int c = 0; c < Columns; c++)
                Bf16.FromSingle(new ReadOnlySpan<float>(source + c * (nint)inputs + k, count), new Span<ushort>(words + c * ChunkWords, count));
            WordTranspose.Run(words, ChunkWords, Columns, count / 2, steps + k / 2 * Columns);
        }
    }

    // Symmetric, one scale an output: scale = max|w| / 127.
    [SkipLocalsInit]
    private static void PackInt8(float* source, int inputs, byte* panel)
    {
        uint* words = stackalloc uint[Columns * ChunkWords];
        float* inverses = stackalloc float[Columns];
        for (int c = 0; c < Columns; c++)
        {
            float largest = MathF.Abs(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(source + c * (nint)inputs, inputs)));
            inverses[c] = largest > 0 ? 127 / largest : 0;
            ((float*)panel)[c] = largest / 127;
        }

        uint* steps = (uint*)(panel + PanelLayout.Int8HeaderBytes);
        for (int k = 0; k < inputs; k += 4 * ChunkWords)
        {
            int count = Math.Min(inputs - k, 4 * ChunkWords);
            for (int c = 0; c < Columns; c++)
                QuantizeInt8(source + c * (nint)inputs + k, count, inverses[c], (byte*)(words + c * ChunkWords));
            WordTranspose.Run(words, ChunkWords, Columns, count / 4, steps + k / 4 * Columns);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void QuantizeInt8(float* source, int count, float inverse, byte* bytes)
    {
        for (int i = 0; i < count; i += 16)
        {
            var low = Vector128.Narrow(Code(source + i, inverse), Code(source + i + 4, inverse));
            var high = Vector128.Narrow(Code(source + i + 8, inverse), Code(source + i + 12, inverse));
            Vector128.Narrow(low, high).Store(bytes + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Code(float* source, float inverse) =>
        (Vector128.Load(source) * inverse + Vector128.Create(RoundPlus128)).AsUInt32();

    [SkipLocalsInit]
    private static void PackInt4(float* source, int inputs, byte* panel)
    {
        const int groupWords = PanelLayout.GroupInputs / 8;
        uint* words = stackalloc uint[Columns * groupWords];
        for (int k = 0; k < inputs; k += PanelLayout.GroupInputs, panel += PanelLayout.GroupBytes)
        {
            for (int c = 0; c < Columns; c++)
                ((ushort*)panel)[c] = Int4Group.Quantize(source + c * (nint)inputs + k, (byte*)(words + c * groupWords));
            WordTranspose.Run(words, groupWords, Columns, groupWords, (uint*)(panel + 64));
        }
    }
}

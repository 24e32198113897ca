using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Packing;

/// <summary>Packs rows of weights into a panel and rounds them: each row becomes words of four bytes, then words are transposed.</summary>
internal static unsafe class PanelPacker
{
    private const int Columns = PanelLayout.Columns;

    // Words of each of the 32 rows in scratch: 8 KiB, a part of the first-level cache.
    private const int ChunkWords = 64;

    // Adding it to a float of magnitude below 2²¹ leaves the nearest integer (ties to even) + 128 in the low bits.
    internal const float RoundPlus128 = 12582912f + 128f;

    /// <summary>Packs [32, inputs] f32 as they are: <see cref="PackRows"/>.</summary>
    public static void PackF32(float* rows, int inputs, byte* panel) => Transpose((uint*)rows, inputs, (uint*)panel);

    /// <summary>Packs [32, inputs] bf16, as they are, into a bf16 panel.</summary>
    public static void CopyBf16(ushort* rows, int inputs, byte* panel) => Transpose((uint*)rows, inputs / 2, (uint*)panel);

    // In pieces, so that what is written is whole cache lines before they leave the first-level cache.
    private static void Transpose(uint* source, int words, uint* steps)
    {
        for (int k = 0; k < words; k += ChunkWords)
            WordTranspose.Run(source + k, words, Columns, Math.Min(words - k, ChunkWords), steps + k * Columns);
    }

    /// <summary>Packs [32, inputs] f32, each rounded to bf16.</summary>
    [SkipLocalsInit]
    public static void PackBf16(float* rows, int inputs, byte* panel)
    {
        uint* words = stackalloc uint[Columns * ChunkWords];
        for (int k = 0; k < inputs; k += 2 * ChunkWords)
        {
            int count = Math.Min(inputs - k, 2 * ChunkWords);
            for (int c = 0; c < Columns; c++)
                Bf16.FromSingle(new ReadOnlySpan<float>(rows + c * (nint)inputs + k, count), new Span<ushort>(words + c * ChunkWords, count));
            WordTranspose.Run(words, ChunkWords, Columns, count / 2, (uint*)panel + k / 2 * Columns);
        }
    }

    /// <summary>Packs [32, inputs] f32 as integers of eight bits with one scale an output, max|w| / 127.</summary>
    [SkipLocalsInit]
    public static void PackInt8(float* rows, int inputs, byte* panel)
    {
        uint* words = stackalloc uint[Columns * ChunkWords];
        float* inverses = stackalloc float[Columns];
        for (int c = 0; c < Columns; c++)
        {
            float largest = MathF.Abs(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(rows + c * (nint)inputs, inputs)));
            (((float*)panel)[c], inverses[c]) = Int8Scale(largest);
        }

        uint* steps = (uint*)(panel + PanelLayout.Int8HeaderBytes);
        for (int k = 0; k < inputs; k += 4 * ChunkWords)
        {
            int count = Math.Min(inputs - k, 4 * ChunkWords);
            for (int c = 0; c < Columns; c++)
                QuantizeInt8(rows + c * (nint)inputs + k, count, inverses[c], (byte*)(words + c * ChunkWords));
            WordTranspose.Run(words, ChunkWords, Columns, count / 4, steps + k / 4 * Columns);
        }
    }

    /// <summary>An output's scale, and the factor of its weights, from its largest magnitude; a NaN makes the scale a NaN.</summary>
    public static (float Scale, float Inverse) Int8Scale(float largest) => (largest / 127, largest > 0 ? 127 / largest : 0);

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

    /// <summary>Packs [32, inputs] f32 as integers of four bits, each group with its own scale: <see cref="Int4Group"/>.</summary>
    [SkipLocalsInit]
    public static void PackInt4(float* rows, int inputs, byte* panel)
    {
        const int groupWords = PanelLayout.GroupInputs / 8;
        uint* words = stackalloc uint[Columns * groupWords];
        for (int k = 0; k < inputs; k += PanelLayout.GroupInputs, panel += PanelLayout.GroupBytes)
        {
            for (int c = 0; c < Columns; c++)
                ((ushort*)panel)[c] = Int4Group.Quantize(rows + c * (nint)inputs + k, (byte*)(words + c * groupWords));
            WordTranspose.Run(words, groupWords, Columns, groupWords, (uint*)(panel + 64));
        }
    }
}

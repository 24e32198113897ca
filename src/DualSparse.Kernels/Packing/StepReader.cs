using System.Numerics;
using System.Runtime.CompilerServices;

namespace DualSparse.Kernels.Packing;

/// <summary>
/// Panels widened to f32, one step of 32 outputs for each input: the layout of an f32 panel. Neighbouring lanes are neighbouring outputs in
/// every format, so nothing is transposed.
/// </summary>
internal static unsafe class StepReader
{
    private const int Columns = PanelLayout.Columns;
    private const int Inputs = PanelSource.Inputs;

    /// <summary>Of an f32 panel: <see cref="ReadSteps"/>.</summary>
    public static void ReadF32(byte* panel, int first, float* steps) =>
        new ReadOnlySpan<float>((float*)panel + first * (nint)Columns, Inputs * Columns).CopyTo(new Span<float>(steps, Inputs * Columns));

    /// <summary>Of a bf16 panel, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadBf16(byte* panel, int first, float* steps)
    {
        uint* words = (uint*)panel + first / 2 * (nint)Columns;
        for (int k = 0; k < Inputs; k += 2, words += Columns, steps += 2 * Columns)
        {
            for (int c = 0; c < Columns; c += Vector<uint>.Count)
            {
                var pair = Vector.Load(words + c);
                (pair << 16).Store((uint*)steps + c);
                (pair & new Vector<uint>(0xFFFF0000)).Store((uint*)steps + Columns + c);
            }
        }
    }

    /// <summary>Of an int8 panel: scale · integer, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadInt8(byte* panel, int first, float* steps)
    {
        float* scales = (float*)panel;
        uint* words = (uint*)(panel + PanelLayout.Int8HeaderBytes) + first / 4 * (nint)Columns;
        for (int k = 0; k < Inputs; k += 4, words += Columns, steps += 4 * Columns)
        {
            for (int c = 0; c < Columns; c += Vector<uint>.Count)
            {
                var (four, scale) = (Vector.Load(words + c), Vector.Load(scales + c));
                Value(four, 0xFF, 128, scale).Store(steps + c);
                Value(four >> 8, 0xFF, 128, scale).Store(steps + Columns + c);
                Value(four >> 16, 0xFF, 128, scale).Store(steps + 2 * Columns + c);
                Value(four >> 24, 0xFF, 128, scale).Store(steps + 3 * Columns + c);
            }
        }
    }

    /// <summary>Of an int4 panel, exactly: a bf16 scale and an integer of four bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization), SkipLocalsInit]
    public static void ReadInt4(byte* panel, int first, float* steps)
    {
        float* scales = stackalloc float[Columns];
        byte* group = panel + first / PanelLayout.GroupInputs * (nint)PanelLayout.GroupBytes;
        for (int g = 0; g < Inputs; g += PanelLayout.GroupInputs, group += PanelLayout.GroupBytes)
        {
            Bf16.ToSingle(new ReadOnlySpan<ushort>(group, Columns), new Span<float>(scales, Columns));
            uint* words = (uint*)(group + Columns * sizeof(ushort));
            for (int k = 0; k < PanelLayout.GroupInputs; k += 8, words += Columns, steps += 8 * Columns)
            {
                for (int c = 0; c < Columns; c += Vector<uint>.Count)
                {
                    var (eight, scale) = (Vector.Load(words + c), Vector.Load(scales + c));
                    for (int i = 0; i < 4; i++)
                    {
                        Value(eight >> (8 * i), 15, 8, scale).Store(steps + i * Columns + c);
                        Value(eight >> (8 * i + 4), 15, 8, scale).Store(steps + (i + 4) * Columns + c);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Value(Vector<uint> words, uint mask, int zero, Vector<float> scale) =>
        Vector.ConvertToSingle(Vector.AsVectorInt32(words & new Vector<uint>(mask)) - new Vector<int>(zero)) * scale;
}

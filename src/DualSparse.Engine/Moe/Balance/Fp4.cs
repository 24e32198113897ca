using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// NVFP4 and MXFP4, emulated exactly: numbers of four bits, E2M1 (0, ½, 1, 1½, 2, 3, 4, 6, and a sign), with a scale for each block. What comes out are
/// the values that such numbers stand for.
/// </summary>
internal static class Fp4
{
    /// <summary>Values that share a scale in NVFP4 and in MXFP4.</summary>
    public const int NvBlock = 16, MxBlock = 32;

    // The largest of E2M1 and of E4M3, and E4M3's smallest normal number.
    private const float Largest = 6, LargestScale = 448, SmallestScale = 1 / 64f;

    /// <summary>S = max|x| / (448·6), the scale of a whole tensor, or of a row of activations.</summary>
    public static float NvScale(float largest) => largest / (LargestScale * Largest);

    /// <summary>
    /// NVFP4: of each 16 values sc = E4M3(clamp(max|x| / (6·S), 2⁻⁶, 448)), q = E2M1(clamp(x / (sc·S), ±6)), and then (q·sc)·S, in this order. With
    /// S = 0 all are zeros.
    /// </summary>
    /// <param name="values">Replaced; the last block may be shorter.</param>
    /// <param name="scale">S.</param>
    public static void RoundNv(Span<float> values, float scale)
    {
        if (scale == 0)
        {
            values.Clear();
            return;
        }

        for (int first = 0; first < values.Length; first += NvBlock)
        {
            var block = values[first..Math.Min(values.Length, first + NvBlock)];
            float sc = BlockScale(block, scale);
            Round(block, sc * scale, sc, scale);
        }
    }

    /// <summary>MXFP4: of each 32 values the scale 2^(⌊log2 max|x|⌋ − 2), q = E2M1(clamp(x / scale, ±6)), and then q·scale.</summary>
    /// <param name="values">Replaced; the last block may be shorter.</param>
    public static void RoundMx(Span<float> values)
    {
        for (int first = 0; first < values.Length; first += MxBlock)
        {
            var block = values[first..Math.Min(values.Length, first + MxBlock)];
            float scale = MxScale(block);
            Round(block, scale, scale, 1);
        }
    }

    /// <summary>A block's scale in NVFP4, rounded to E4M3.</summary>
    public static float BlockScale(ReadOnlySpan<float> block, float scale) => RoundE4M3(Math.Clamp(Highest(block) / (Largest * scale), SmallestScale, LargestScale));

    /// <summary>A block's scale in MXFP4: a power of two that a byte holds, 2^(byte − 127).</summary>
    public static float MxScale(ReadOnlySpan<float> block)
    {
        int exponent = (int)(BitConverter.SingleToUInt32Bits(Highest(block)) >> 23) - 127 - 2;
        return MathF.ScaleB(1, Math.Max(exponent, -127));
    }

    /// <summary>E2M1's code of a value, to the nearest, of two the even one: the sign is the highest of its four bits. Beyond 6 it is 6.</summary>
    public static int Code(float value)
    {
        float x = MathF.Abs(value);
        int code = x <= 0.25f ? 0 : x < 0.75f ? 1 : x <= 1.25f ? 2 : x < 1.75f ? 3 : x <= 2.5f ? 4 : x < 3.5f ? 5 : x <= 5 ? 6 : 7;
        return float.IsNegative(value) ? code | 8 : code;
    }

    /// <summary>What a code of E2M1 stands for.</summary>
    public static float Value(int code)
    {
        float x = (code & 7) switch { 0 => 0, 1 => 0.5f, 2 => 1, 3 => 1.5f, 4 => 2, 5 => 3, 6 => 4, _ => 6 };
        return (code & 8) == 0 ? x : -x;
    }

    // E2M1(x / divisor)·first·second.
    private static void Round(Span<float> block, float divisor, float first, float second)
    {
        var vectors = MemoryMarshal.Cast<float, Vector256<float>>(block);
        foreach (ref var x in vectors)
            x = Round(x / divisor) * first * second;
        foreach (ref float x in block[(vectors.Length * Vector256<float>.Count)..])
            x = Value(Code(x / divisor)) * first * second;
    }

    // What Value makes of Code, of eight at a time.
    private static Vector256<float> Round(Vector256<float> value)
    {
        var x = Vector256.Abs(value);
        var rounded = Vector256.Create(Largest);
        rounded = Vector256.ConditionalSelect(Vector256.LessThanOrEqual(x, Vector256.Create(5f)), Vector256.Create(4f), rounded);
        rounded = Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256.Create(3.5f)), Vector256.Create(3f), rounded);
        rounded = Vector256.ConditionalSelect(Vector256.LessThanOrEqual(x, Vector256.Create(2.5f)), Vector256.Create(2f), rounded);
        rounded = Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256.Create(1.75f)), Vector256.Create(1.5f), rounded);
        rounded = Vector256.ConditionalSelect(Vector256.LessThanOrEqual(x, Vector256.Create(1.25f)), Vector256.Create(1f), rounded);
        rounded = Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256.Create(0.75f)), Vector256.Create(0.5f), rounded);
        rounded = Vector256.AndNot(rounded, Vector256.LessThanOrEqual(x, Vector256.Create(0.25f)));
        return Vector256.BitwiseOr(rounded, Vector256.BitwiseAnd(value, Vector256.Create(-0f)));
    }

    // A normal number of three bits after the point, to the nearest, of two the even one.
    private static float RoundE4M3(float value)
    {
        const int dropped = 23 - 3;
        uint bits = BitConverter.SingleToUInt32Bits(value);
        bits += (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
        return BitConverter.UInt32BitsToSingle(bits >> dropped << dropped);
    }

    private static float Highest(ReadOnlySpan<float> block) => MathF.Abs(TensorPrimitives.MaxMagnitude(block));
}

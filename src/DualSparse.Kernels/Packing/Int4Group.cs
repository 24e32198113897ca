using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Packing;

/// <summary>Thirty-two weights as integers in −8…7 and one bf16 scale.</summary>
internal static unsafe class Int4Group
{
    // Of bf16.
    private const ushort NotANumber = 0x7FC0;

    /// <summary>
    /// Chooses, among eight scales, the one with the least squared error. Returns it as bf16; codes are those that fit the rounded scale.
    /// </summary>
    /// <param name="weights">32 of them.</param>
    /// <param name="bytes">16 bytes, four for each eight weights: byte j holds weight j (low nibble) and j + 4, each as code + 8.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ushort Quantize(float* weights, byte* bytes)
    {
        // A NaN scale marks weights that aren't finite, since no code can.
        if (!AllFinite(weights))
        {
            new Span<byte>(bytes, PanelLayout.GroupInputs / 2).Clear();
            return NotANumber;
        }

        // The code of the largest weight: ±7, the extra code −8, or clipped a little so that the others are finer. One target a lane; each
        // comes with its negative, so the largest magnitude suffices.
        var targets = Vector256.Create(-8f, 7f, -7f, 8f, -7.5f, 7.5f, -8.6f, 8.6f);
        var scales = RoundToBf16(Vector256.Create(LargestMagnitude(weights)) / targets);
        var inverses = Vector256<float>.One / scales;
        Vector256<float> errors = default;
        for (int i = 0; i < PanelLayout.GroupInputs; i++)
        {
            var weight = Vector256.Create(weights[i]);
            var miss = weight - Code(weight, inverses) * scales;
            errors += miss * miss;
        }

        float scale = scales[IndexOfLeast(errors) & 7];
        var inverse = Vector256.Create(scale == 0 ? 0 : 1 / scale);
        var firstSteps = Vector128.Narrow(Nibbles(weights, inverse), Nibbles(weights + 8, inverse));
        var lastSteps = Vector128.Narrow(Nibbles(weights + 16, inverse), Nibbles(weights + 24, inverse));
        Vector128.Narrow(firstSteps, lastSteps).Store(bytes);
        return (ushort)(scale == 0 ? 0 : BitConverter.SingleToUInt32Bits(scale) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AllFinite(float* weights)
    {
        // Zero times anything else isn't zero.
        var zeros = (Vector256.Load(weights) * 0f + Vector256.Load(weights + 8) * 0f) + (Vector256.Load(weights + 16) * 0f + Vector256.Load(weights + 24) * 0f);
        return Vector256.EqualsAll(zeros, Vector256<float>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float LargestMagnitude(float* weights)
    {
        var low = Vector256.MaxNative(Vector256.Abs(Vector256.Load(weights)), Vector256.Abs(Vector256.Load(weights + 8)));
        var high = Vector256.MaxNative(Vector256.Abs(Vector256.Load(weights + 16)), Vector256.Abs(Vector256.Load(weights + 24)));
        var eight = Vector256.MaxNative(low, high);
        var four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
        var two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(two, Vector128.Shuffle(two, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    // The first lane that holds the least error; 32 if all are NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int IndexOfLeast(Vector256<float> errors)
    {
        // An infinite scale makes its error NaN, and a NaN would hide the others.
        var finite = Vector256.ConditionalSelect(Vector256.Equals(errors, errors), errors, Vector256.Create(float.PositiveInfinity));
        var four = Vector128.MinNative(finite.GetLower(), finite.GetUpper());
        var two = Vector128.MinNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        var one = Vector128.MinNative(two, Vector128.Shuffle(two, Vector128.Create(1, 0, 3, 2)));
        return BitOperations.TrailingZeroCount(Vector256.Equals(finite, Vector256.Create(one.ToScalar())).ExtractMostSignificantBits());
    }

    // To nearest, ties to even.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> RoundToBf16(Vector256<float> values)
    {
        var bits = values.AsUInt32();
        return ((bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256<uint>.One)) & Vector256.Create(0xFFFF0000u)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Code(Vector256<float> weights, Vector256<float> inverse) =>
        Vector256.MinNative(Vector256.MaxNative(Vector256.Round(weights * inverse), Vector256.Create(-8f)), Vector256.Create(7f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Nibbles(float* weights, Vector256<float> inverse)
    {
        var codes = Vector256.ConvertToInt32(Code(Vector256.Load(weights), inverse) + Vector256.Create(8f)).AsUInt32();
        return codes.GetLower() | codes.GetUpper() << 4;
    }
}

using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>Encodes one row of f32 activations in the form a kernel reads.</summary>
internal static unsafe class RowEncoder
{
    // 1.5 · 2²³: added to a float of magnitude below 2²¹ it leaves the nearest integer, ties to even, in the low bits.
    private const float RoundToInteger = 12582912f;

    /// <summary>
    /// Writes <paramref name="source"/> and zeros up to <paramref name="inputs"/> values. Integer forms: scale = max|x| / 127,
    /// q = round to even(x / scale); <paramref name="sums"/> receives Σq, then Σq of each group of 32.
    /// </summary>
    public static void Encode(ActivationFormat format, ReadOnlySpan<float> source, int inputs, byte* destination, float* scale, int* sums)
    {
        int n = source.Length;
        switch (format)
        {
            case ActivationFormat.F32:
                source.CopyTo(new Span<float>(destination, n));
                new Span<float>((float*)destination + n, inputs - n).Clear();
                break;
            case ActivationFormat.Bf16:
                Bf16.FromSingle(source, new Span<ushort>(destination, n));
                new Span<ushort>((ushort*)destination + n, inputs - n).Clear();
                break;
            default:
                float largest = n == 0 ? 0 : MathF.Abs(TensorPrimitives.MaxMagnitude(source));
                *scale = largest / 127;
                float inverse = largest > 0 ? 127 / largest : 0;
                Quantize(format, source, inverse, inputs, destination, sums);
                break;
        }
    }

    // q as 32-bit integers, four at a time; NaNs and infinities become some integer, never a fault.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Round(float* source, float inverse) =>
        (Vector128.Load(source) * inverse + Vector128.Create(RoundToInteger)).AsInt32() - Vector128.Create(RoundToInteger).AsInt32();

    [SkipLocalsInit]
    private static void Quantize(ActivationFormat format, ReadOnlySpan<float> source, float inverse, int inputs, byte* destination, int* sums)
    {
        const int group = PanelLayout.GroupInputs;
        float* last = stackalloc float[group];
        int total = 0;
        fixed (float* first = source)
        {
            for (int start = 0; start < inputs; start += group)
            {
                float* values = first + start;
                if (start + group > source.Length)
                {
                    var padded = new Span<float>(last, group);
                    padded.Clear();
                    if (start < source.Length)
                        source[start..].CopyTo(padded);
                    values = last;
                }

                int sum = format == ActivationFormat.Int8
                    ? QuantizeGroup(values, inverse, (sbyte*)destination + start)
                    : QuantizeGroup(values, inverse, (short*)destination + start);
                sums[1 + start / group] = sum;
                total += sum;
            }
        }

        sums[0] = total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int QuantizeGroup(float* values, float inverse, sbyte* destination)
    {
        Vector128<int> sum = default;
        for (int i = 0; i < PanelLayout.GroupInputs; i += 16)
        {
            Vector128<int> a = Round(values + i, inverse), b = Round(values + i + 4, inverse);
            Vector128<int> c = Round(values + i + 8, inverse), d = Round(values + i + 12, inverse);
            sum += a + b + (c + d);
            Vector128.Narrow(Vector128.Narrow(a, b), Vector128.Narrow(c, d)).Store(destination + i);
        }

        return Vector128.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int QuantizeGroup(float* values, float inverse, short* destination)
    {
        Vector128<int> sum = default;
        for (int i = 0; i < PanelLayout.GroupInputs; i += 8)
        {
            Vector128<int> a = Round(values + i, inverse), b = Round(values + i + 4, inverse);
            sum += a + b;
            Vector128.Narrow(a, b).Store(destination + i);
        }

        return Vector128.Sum(sum);
    }
}

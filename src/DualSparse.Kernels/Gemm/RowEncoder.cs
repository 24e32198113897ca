using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>One row of f32 activations into the form that a kernel wants.</summary>
internal static unsafe class RowEncoder
{
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
                if (format == ActivationFormat.Int8)
                    Quantize(source, inverse, inputs, (sbyte*)destination, sums);
                else
                    Quantize(source, inverse, inputs, (short*)destination, sums);
                break;
        }
    }

    private static void Quantize<T>(ReadOnlySpan<float> source, float inverse, int inputs, T* destination, int* sums)
        where T : unmanaged, INumber<T>
    {
        int total = 0;
        for (int start = 0; start < inputs; start += PanelLayout.GroupInputs)
        {
            int count = Math.Clamp(source.Length - start, 0, PanelLayout.GroupInputs);
            int sum = 0;
            for (int i = 0; i < count; i++)
            {
                int q = RoundToEven(source[start + i] * inverse);
                sum += q;
                destination[start + i] = T.CreateTruncating(q);
            }

            for (int i = count; i < PanelLayout.GroupInputs; i++)
                destination[start + i] = T.Zero;
            sums[1 + start / PanelLayout.GroupInputs] = sum;
            total += sum;
        }

        sums[0] = total;
    }

    // Adding 1.5·2²³ leaves the nearest integer, ties to even, in the low bits. A NaN or an infinity becomes some integer, never a fault.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int RoundToEven(float value) => (BitConverter.SingleToInt32Bits(value + 12582912f) & 0x7FFFFF) - 0x400000;
}

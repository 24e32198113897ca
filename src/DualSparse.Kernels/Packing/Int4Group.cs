using System.Numerics.Tensors;

namespace DualSparse.Kernels.Packing;

/// <summary>Thirty-two weights as integers in −8…7 and one bf16 scale.</summary>
internal static unsafe class Int4Group
{
    // Where the largest weight lands: on ±7, or on the extra code −8, or clipped a little so that the others are finer.
    private static readonly float[] Candidates = [-8f, 7f, -7f, 8f, -7.5f, 7.5f, -8.6f, 8.6f];

    /// <summary>
    /// Chooses, among a few scales, the one with the least squared error, and writes the codes (weight + 8, in 0…15).
    /// Returns the scale as bf16; codes are those that fit the rounded scale.
    /// </summary>
    public static ushort Quantize(ReadOnlySpan<float> weights, byte* codes)
    {
        float extreme = weights[TensorPrimitives.IndexOfMaxMagnitude(weights)];
        ushort best = 0;
        float bestError = float.PositiveInfinity;
        if (extreme != 0)
        {
            foreach (float target in Candidates)
            {
                ushort scale = Bf16.FromSingle(extreme / target);
                float error = Error(weights, Bf16.ToSingle(scale));
                if (error < bestError)
                    (best, bestError) = (scale, error);
            }
        }

        float chosen = Bf16.ToSingle(best);
        float inverse = chosen == 0 ? 0 : 1 / chosen;
        for (int i = 0; i < weights.Length; i++)
            codes[i] = (byte)(Code(weights[i] * inverse) + 8);
        return best;
    }

    private static float Error(ReadOnlySpan<float> weights, float scale)
    {
        if (scale == 0)
            return float.MaxValue;
        float inverse = 1 / scale, error = 0;
        foreach (float w in weights)
        {
            float miss = w - scale * Code(w * inverse);
            error += miss * miss;
        }

        return error;
    }

    private static int Code(float value) => (int)Math.Clamp(MathF.Round(value), -8f, 7f);
}

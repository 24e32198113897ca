using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>
/// How far a model's predictions are from another's: KL(p ‖ q) = Σ p·(log p − log q) in nats, p the teacher's and q the model's, each a softmax of
/// logits. Its gradient by the model's logits is q − p (Hinton and others, arXiv 1503.02531, at temperature 1).
/// </summary>
internal static unsafe class Distillation
{
    // As in the cross-entropy.
    private const int RowsPerItem = 4;

    /// <summary>The sum of the rows' divergences, and the gradient in place of the logits; rows without a target have none.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="logits">[rows, vocabulary] f32, dense, overwritten with (q − p) · scale.</param>
    /// <param name="vocabulary">Logits of a row.</param>
    /// <param name="teacher">[rows, vocabulary] the teacher's logits.</param>
    /// <param name="targets">[rows] ids; below 0: the row doesn't count.</param>
    /// <param name="scale">The gradient of what is minimised by each row's divergence.</param>
    public static double Backward(ThreadTeam team, float* logits, int vocabulary, ReadOnlyMemory<float> teacher, ReadOnlyMemory<int> targets, float scale)
    {
        var losses = new double[targets.Length];
        team.For((losses.Length + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            float[] p = new float[vocabulary];
            for (int r = item * RowsPerItem; r < Math.Min(losses.Length, (item + 1) * RowsPerItem); r++)
            {
                var row = new Span<float>(logits + (nint)r * vocabulary, vocabulary);
                if (targets.Span[r] < 0)
                    row.Clear();
                else
                    losses[r] = Row(row, teacher.Span.Slice(r * vocabulary, vocabulary), p, scale);
            }
        });
        double sum = 0;
        foreach (double loss in losses)
            sum += loss;
        return sum;
    }

    // Σ p·(log p − log q) = Σ p·(t − l) − log Σ eᵗ + log Σ eˡ.
    private static double Row(Span<float> logits, ReadOnlySpan<float> teacher, float[] p, float scale)
    {
        double logSum = LogSum(teacher, p), difference = 0;
        for (int i = 0; i < p.Length; i++)
            difference += p[i] * ((double)teacher[i] - logits[i]);
        double own = LogSum(logits, logits);
        TensorPrimitives.Subtract(logits, p, logits);
        TensorPrimitives.Multiply(logits, scale, logits);
        return difference - logSum + own;
    }

    // Softmax, and log Σ eˣ.
    private static double LogSum(ReadOnlySpan<float> x, Span<float> softmax)
    {
        float max = TensorPrimitives.Max(x);
        TensorPrimitives.Subtract(x, max, softmax);
        TensorPrimitives.Exp(softmax, softmax);
        double sum = 0;
        foreach (float e in softmax)
            sum += e;
        TensorPrimitives.Multiply(softmax, (float)(1 / sum), softmax);
        return max + Math.Log(sum);
    }
}

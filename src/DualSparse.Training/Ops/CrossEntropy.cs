using System.Diagnostics;
using System.Numerics;
using System.Numerics.Tensors;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>The cross-entropy of predicted ids, −log softmax(logits)[target] = log Σ e^logits − logits[target], in nats.</summary>
internal static unsafe class CrossEntropy
{
    // Rows that one thread does at a time: with small vocabularies, too, far more work than it takes to hand them out.
    private const int RowsPerItem = 4;

    // Exponentials that are summed in f32 before they go on in double: they don't lose what matters, however large the vocabulary.
    private const int SummedInSingle = 1024;

    /// <summary>The sum of the rows' losses, added in the order of rows; rows without a target have none.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="logits">[rows, vocabulary] f32, dense.</param>
    /// <param name="vocabulary">Logits of a row. A NaN or +∞ among them makes the sum NaN.</param>
    /// <param name="targets">[rows] ids; below 0: none.</param>
    public static double Forward(ThreadTeam team, float* logits, int vocabulary, ReadOnlyMemory<int> targets) =>
        Rows(team, logits, vocabulary, targets, null);

    /// <summary>The same, and the gradient in place of the logits: (softmax − one-hot of the target) · scale, 0 in rows without a target.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="logits">[rows, vocabulary] f32, dense, overwritten with the gradient.</param>
    /// <param name="vocabulary">Logits of a row.</param>
    /// <param name="targets">[rows] ids; below 0: none.</param>
    /// <param name="scale">The gradient of what is minimised by each row's loss: 1 / targets for their mean.</param>
    public static double Backward(ThreadTeam team, float* logits, int vocabulary, ReadOnlyMemory<int> targets, float scale) =>
        Rows(team, logits, vocabulary, targets, scale);

    private static double Rows(ThreadTeam team, float* logits, int vocabulary, ReadOnlyMemory<int> targets, float? scale)
    {
        var losses = new double[targets.Length];
        team.For((losses.Length + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(losses.Length, (item + 1) * RowsPerItem); r++)
                losses[r] = Row(new Span<float>(logits + (nint)r * vocabulary, vocabulary), targets.Span[r], scale);
        });
        double sum = 0;
        foreach (double loss in losses)
            sum += loss;
        return sum;
    }

    private static double Row(Span<float> logits, int target, float? scale)
    {
        Debug.Assert(target < logits.Length);
        if (target < 0)
        {
            if (scale is not null)
                logits.Clear();
            return 0;
        }

        float max = TensorPrimitives.Max<float>(logits), chosen = logits[target];
        double sum;
        fixed (float* x = logits)
            sum = Exponentials(x, logits.Length, max, keep: scale is not null);
        if (scale is { } factor)
        {
            TensorPrimitives.Multiply(logits, (float)(factor / sum), logits);
            logits[target] -= factor;
        }

        return Math.Log(sum) + ((double)max - chosen);
    }

    // Σ e^(x − max), which stays in x where it is kept.
    private static double Exponentials(float* x, int count, float max, bool keep)
    {
        int step = Vector<float>.Count;
        var shift = new Vector<float>(max);
        double sum = 0;
        int i = 0;
        while (i + step <= count)
        {
            var lanes = Vector<float>.Zero;
            for (int end = Math.Min(count, i + SummedInSingle); i + step <= end; i += step)
            {
                var e = Exp.Of<PortableSimd, Vector<float>>(Vector.Load(x + i) - shift);
                lanes += e;
                if (keep)
                    e.Store(x + i);
            }

            sum += Vector.Sum(lanes);
        }

        if (i == count)
            return sum;
        Span<float> rest = stackalloc float[count - i];
        new ReadOnlySpan<float>(x + i, count - i).CopyTo(rest);
        TensorPrimitives.Subtract(rest, max, rest);
        Exp.Forward(rest, rest);
        foreach (float e in rest)
            sum += e;
        if (keep)
            rest.CopyTo(new Span<float>(x + i, count - i));
        return sum;
    }
}

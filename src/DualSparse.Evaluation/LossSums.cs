using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>The loss of one run against another, summed over predictions.</summary>
/// <param name="Tokens">The number of ids predicted.</param>
/// <param name="DenseNll">Σ −log p of the targets in the reference run, nats.</param>
/// <param name="Nll">The same in the other run.</param>
/// <param name="KullbackLeibler">Σ KL(dense ‖ other), nats.</param>
/// <param name="Flips">The number of predictions whose most probable id differs.</param>
internal readonly record struct LossSums(int Tokens, double DenseNll, double Nll, double KullbackLeibler, int Flips)
{
    /// <summary>The sum of both.</summary>
    public static LossSums operator +(LossSums a, LossSums b) => new(
        a.Tokens + b.Tokens, a.DenseNll + b.DenseNll, a.Nll + b.Nll, a.KullbackLeibler + b.KullbackLeibler, a.Flips + b.Flips);

    /// <summary>Compares rows of logits, summed in their order on any number of threads.</summary>
    /// <param name="dense">[rows, vocabulary] or more.</param>
    /// <param name="other">The same of the other run.</param>
    /// <param name="targets">[rows] the ids that follow, inside the vocabulary.</param>
    /// <param name="vocabulary">Logits in a row.</param>
    public static unsafe LossSums Of(ReadOnlySpan<float> dense, ReadOnlySpan<float> other, ReadOnlySpan<int> targets, int vocabulary)
    {
        var rows = new LossSums[targets.Length];
        if (dense.Length < (long)rows.Length * vocabulary || other.Length < (long)rows.Length * vocabulary)
            throw new ArgumentException($"{dense.Length} and {other.Length} logits, expected {rows.Length} rows of {vocabulary} at least");
        fixed (float* p = dense, q = other)
        fixed (int* ids = targets)
        {
            // A lambda can't capture a fixed pointer.
            var (first, second, nextIds) = ((nint)p, (nint)q, (nint)ids);
            Parallel.For(0, rows.Length, t => rows[t] = Row(
                new ReadOnlySpan<float>((float*)first + (nint)t * vocabulary, vocabulary),
                new ReadOnlySpan<float>((float*)second + (nint)t * vocabulary, vocabulary),
                ((int*)nextIds)[t]));
        }

        return rows.Aggregate(default(LossSums), (sum, row) => sum + row);
    }

    private static LossSums Row(ReadOnlySpan<float> p, ReadOnlySpan<float> q, int target)
    {
        double logP = Distributions.LogSumExp(p);
        if (p == q)
            return new LossSums(1, logP - p[target], logP - p[target], 0, 0);
        double logQ = Distributions.LogSumExp(q);
        int flips = Distributions.Best(p) == Distributions.Best(q) ? 0 : 1;
        return new LossSums(1, logP - p[target], logQ - q[target], Distributions.KullbackLeibler(p, q, logP, logQ), flips);
    }
}

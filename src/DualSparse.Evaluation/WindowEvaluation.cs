using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Evaluation;

/// <summary>A window's sums over its tokens.</summary>
/// <param name="Tokens">Ids predicted.</param>
/// <param name="DenseNll">Σ −log p of the targets without a drop, nats.</param>
/// <param name="Nll">The same under the drop.</param>
/// <param name="KullbackLeibler">Σ KL(dense ‖ dropped), nats.</param>
/// <param name="Flips">Predictions whose best id differs.</param>
public readonly record struct WindowSums(int Tokens, double DenseNll, double Nll, double KullbackLeibler, int Flips);

/// <summary>What a text's windows give; means are a token's, in nats.</summary>
/// <param name="Name">The text.</param>
/// <param name="Windows">Each window.</param>
/// <param name="DropRate">Share of the routed experts' work that was left out; null without a drop.</param>
public sealed record WindowReport(string Name, IReadOnlyList<WindowSums> Windows, double? DropRate)
{
    /// <summary>Ids predicted.</summary>
    public int Tokens => Windows.Sum(w => w.Tokens);

    /// <summary>Mean −log p of the targets, under the drop where there is one.</summary>
    public Interval Nll => Mean(w => w.Nll);

    /// <summary>e^NLL.</summary>
    public Interval Perplexity => Nll.Map(Math.Exp);

    /// <summary>NLL under the drop less NLL without; null without a drop.</summary>
    public Interval? DeltaNll => DropRate is null ? null : Mean(w => w.Nll - w.DenseNll);

    /// <summary>KL(dense ‖ dropped); null without a drop.</summary>
    public Interval? KullbackLeibler => DropRate is null ? null : Mean(w => w.KullbackLeibler);

    /// <summary>Share of predictions whose best id differs; null without a drop.</summary>
    public Interval? Flips => DropRate is null ? null : Mean(w => w.Flips);

    private Interval Mean(Func<WindowSums, double> sum) => PairedBootstrap.Ratio([.. Windows.Select(sum)], [.. Windows.Select(w => (double)w.Tokens)]);
}

/// <summary>Scores windows with and without a drop, one model in memory.</summary>
public static class WindowEvaluation
{
    /// <summary>Runs all windows, each afresh.</summary>
    /// <param name="model">The model; its <see cref="Transformer.Drop"/> is as before afterwards, its counts are not.</param>
    /// <param name="text">The windows.</param>
    /// <param name="rule">What is left out; without effect, the model runs once a window.</param>
    /// <param name="cancellation">Looked at between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or the rule makes no sense for the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Run(Transformer model, TextWindows text, DropRule rule, CancellationToken cancellation = default)
    {
        var before = model.Drop;
        try
        {
            DropCounts counts = default;
            model.Drop = rule;
            rule = model.Drop; // a rate has become thresholds, where the checkpoint has some
            var sums = new WindowSums[text.Inputs.Count];
            for (int w = 0; w < sums.Length; w++)
            {
                cancellation.ThrowIfCancellationRequested();
                int[] inputs = text.Inputs[w], targets = text.Targets[w];
                Check(text.Name, targets, model.Config.VocabSize);
                model.Drop = DropRule.None;
                float[] dense = Logits(model, inputs);
                float[]? dropped = null;
                if (!rule.IsNone)
                {
                    model.Drop = rule;
                    model.ResetCounts();
                    dropped = Logits(model, inputs);
                    counts += model.Counts;
                }

                sums[w] = Compare(dense, dropped, targets, model.Config.VocabSize);
            }

            return new WindowReport(text.Name, sums, rule.IsNone ? null : counts.Rate);
        }
        finally
        {
            model.Drop = before;
        }
    }

    private static void Check(string name, int[] targets, int vocabulary)
    {
        foreach (int id in targets)
        {
            if ((uint)id >= (uint)vocabulary)
                throw new ArgumentException($"{name}: the target {id} is outside the vocabulary of {vocabulary}");
        }
    }

    private static float[] Logits(Transformer model, int[] ids)
    {
        using var cache = model.NewCache(ids.Length);
        return model.Forward(cache, ids, LogitRows.All).ToArray();
    }

    private static WindowSums Compare(float[] dense, float[]? dropped, int[] targets, int vocabulary)
    {
        var rows = new WindowSums[targets.Length];
        Parallel.For(0, rows.Length, t =>
        {
            var p = dense.AsSpan(t * vocabulary, vocabulary);
            double logP = Distributions.LogSumExp(p), denseNll = logP - p[targets[t]];
            if (dropped is null)
            {
                rows[t] = new(1, denseNll, denseNll, 0, 0);
                return;
            }

            var q = dropped.AsSpan(t * vocabulary, vocabulary);
            double logQ = Distributions.LogSumExp(q);
            int flips = Distributions.Best(p) == Distributions.Best(q) ? 0 : 1;
            rows[t] = new(1, denseNll, logQ - q[targets[t]], Distributions.KullbackLeibler(p, q, logP, logQ), flips);
        });
        // In order, so that the sums don't depend on the threads.
        return rows.Aggregate((a, b) => new WindowSums(
            a.Tokens + b.Tokens, a.DenseNll + b.DenseNll, a.Nll + b.Nll, a.KullbackLeibler + b.KullbackLeibler, a.Flips + b.Flips));
    }
}

using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Evaluation;

/// <summary>
/// Scores windows in one run and in others beside it: with and without a drop, or by two models. Each is scored afresh; thresholds that
/// follow a drop rate follow the text through all of its windows.
/// </summary>
public static class WindowEvaluation
{
    /// <summary>Runs all windows, each afresh, without a drop and with one.</summary>
    /// <param name="model">The model; its <see cref="Transformer.Drop"/> is as before afterwards, its counts are not.</param>
    /// <param name="text">The windows.</param>
    /// <param name="rule">What is left out; without effect, the model runs once a window.</param>
    /// <param name="cancellation">Looked at between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or the rule makes no sense for the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Run(Transformer model, TextWindows text, DropRule rule, CancellationToken cancellation = default) =>
        Run(model, text, [rule], cancellation)[0];

    /// <summary>The same for several rules: a window's dense run serves them all, and they take turns window by window.</summary>
    /// <returns>A report for each rule.</returns>
    public static IReadOnlyList<WindowReport> Run(Transformer model, TextWindows text, IReadOnlyList<DropRule> rules, CancellationToken cancellation = default)
    {
        var before = model.Drop;
        try
        {
            return Measure(text, new(model, DropRule.None), [.. rules.Select(rule => rule.IsNone ? null : new Contender(model, rule))], cancellation);
        }
        finally
        {
            model.Drop = before;
        }
    }

    /// <summary>Runs all windows through two models, each as its <see cref="Transformer.Drop"/> says.</summary>
    /// <param name="reference">The model to be near to.</param>
    /// <param name="other">The model to be judged; the same vocabulary. The report's drop rate is its.</param>
    /// <param name="text">The windows.</param>
    /// <param name="cancellation">Looked at between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Compare(Transformer reference, Transformer other, TextWindows text, CancellationToken cancellation = default) =>
        Measure(text, new(reference, reference.Drop), [new(other, other.Drop)], cancellation)[0];

    // Null among the others is the dense run once more, which needn't be made twice.
    private static WindowReport[] Measure(TextWindows text, Contender dense, IReadOnlyList<Contender?> others, CancellationToken cancellation)
    {
        int vocabulary = dense.Model.Config.VocabSize;
        var windows = others.Select(_ => new WindowFigures[text.Inputs.Count]).ToArray();
        var counts = new DropCounts[others.Count];
        for (int w = 0; w < text.Inputs.Count; w++)
        {
            cancellation.ThrowIfCancellationRequested();
            Check(text.Name, text.Targets[w], vocabulary);
            var reference = dense.Run(text.Inputs[w]);
            for (int i = 0; i < others.Count; i++)
            {
                var run = others[i]?.Run(text.Inputs[w]) ?? reference;
                counts[i] += run.Counts;
                windows[i][w] = new(LossSums.Of(reference.Values, run.Values, text.Targets[w], vocabulary), reference.Seconds, run.Seconds);
            }
        }

        return [.. others.Select((other, i) => new WindowReport(text.Name, windows[i], other is null ? null : counts[i].Rate, other?.Expected))];
    }

    private static void Check(string name, int[] targets, int vocabulary)
    {
        foreach (int id in targets)
        {
            if ((uint)id >= (uint)vocabulary)
                throw new ArgumentException($"{name}: the target {id} is outside the vocabulary of {vocabulary}");
        }
    }

    private sealed record Logits(float[] Values, DropCounts Counts, double Seconds);

    // A model under a rule, for one text: what a followed rate has seen of it goes from window to window.
    private sealed class Contender
    {
        private readonly DropRule rule;
        private readonly RateFollower? follower;

        public Contender(Transformer model, DropRule rule)
        {
            (Model, model.Drop) = (model, rule);
            this.rule = model.Drop; // with its thresholds found
            follower = model.NewFollower();
        }

        public Transformer Model { get; }

        public LossToExpect? Expected => follower?.Expected ?? rule.Expected;

        public Logits Run(int[] ids)
        {
            if (Model.Drop != rule)
                Model.Drop = rule;
            Model.ResetCounts();
            using var cache = Model.NewCache(ids.Length);
            cache.Follower = follower;
            long started = Stopwatch.GetTimestamp();
            var values = Model.Forward(cache, ids, LogitRows.All);
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return new Logits(values.ToArray(), Model.Counts, seconds);
        }
    }
}

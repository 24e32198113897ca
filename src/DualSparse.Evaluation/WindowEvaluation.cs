using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Evaluation;

/// <summary>
/// Scores windows in a reference run and in others: with and without a drop, or by two models. Each window starts with an empty cache;
/// adaptive thresholds continue through all windows of a text.
/// </summary>
internal static class WindowEvaluation
{
    /// <summary>Runs all windows without a drop and with one.</summary>
    /// <param name="model">The model; it must not be used otherwise meanwhile.</param>
    /// <param name="text">The windows.</param>
    /// <param name="rule">The drop; if it drops nothing, the model runs once a window.</param>
    /// <param name="cancellation">Checked between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or the rule doesn't fit the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Run(Transformer model, TextWindows text, DropRequest rule, CancellationToken cancellation = default) =>
        Run(model, text, [rule], cancellation)[0];

    /// <summary>The same for several rules, which share each window's dense run and run one after another on each window.</summary>
    /// <returns>A report for each rule.</returns>
    public static IReadOnlyList<WindowReport> Run(Transformer model, TextWindows text, IReadOnlyList<DropRequest> rules, CancellationToken cancellation = default) =>
        Measure(text, new(model, null), [.. rules.Select(rule => rule.IsNone ? null : new Contender(model, model.NewText(rule)))], cancellation);

    /// <summary>Runs all windows through two models, each with its <see cref="Transformer.Drop"/>.</summary>
    /// <param name="reference">The reference model.</param>
    /// <param name="other">The model to be compared, with the same vocabulary. The report's drop rate is this model's.</param>
    /// <param name="text">The windows.</param>
    /// <param name="cancellation">Checked between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Compare(Transformer reference, Transformer other, TextWindows text, CancellationToken cancellation = default) =>
        Measure(text, new(reference, reference.NewText()), [new(other, other.NewText())], cancellation)[0];

    // Null among the others stands for the dense run, which isn't repeated.
    private static WindowReport[] Measure(TextWindows text, Contender dense, IReadOnlyList<Contender?> others, CancellationToken cancellation)
    {
        int vocabulary = dense.Model.Config.VocabSize;
        var windows = others.Select(_ => new WindowResult[text.Inputs.Count]).ToArray();
        for (int w = 0; w < text.Inputs.Count; w++)
        {
            cancellation.ThrowIfCancellationRequested();
            Check(text.Name, text.Targets[w], vocabulary);
            var reference = dense.Run(text.Inputs[w]);
            for (int i = 0; i < others.Count; i++)
            {
                var run = others[i]?.Run(text.Inputs[w]) ?? reference;
                windows[i][w] = new(LossSums.Of(reference.Values, run.Values, text.Targets[w], vocabulary), reference.Seconds, run.Seconds);
            }
        }

        return [.. others.Select((other, i) => new WindowReport(text.Name, windows[i], other?.Drop?.Counts.Rate, other?.Drop?.Expected) { TextTokens = text.TextTokens })];
    }

    private static void Check(string name, int[] targets, int vocabulary)
    {
        foreach (int id in targets)
        {
            if ((uint)id >= (uint)vocabulary)
                throw new ArgumentException($"{name}: the target {id} is outside the vocabulary of {vocabulary}");
        }
    }

    private sealed record Logits(float[] Values, double Seconds);

    // A model and a text's drop, which continues from window to window.
    private sealed record Contender(Transformer Model, TextDrop? Drop)
    {
        public Logits Run(int[] ids)
        {
            using var cache = Model.NewCache(ids.Length);
            long started = Stopwatch.GetTimestamp();
            var values = Model.Forward(cache, ids, LogitRows.All, Drop);
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return new Logits(values.ToArray(), seconds);
        }
    }
}

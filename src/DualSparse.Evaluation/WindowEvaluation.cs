using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Evaluation;

/// <summary>
/// Scores windows in one run and in others beside it: with and without a drop, or by two models. Each is scored afresh; thresholds that
/// follow a drop rate follow the text through all of its windows.
/// </summary>
internal static class WindowEvaluation
{
    /// <summary>Runs all windows, each afresh, without a drop and with one.</summary>
    /// <param name="model">The model; not for other use meanwhile.</param>
    /// <param name="text">The windows.</param>
    /// <param name="rule">What is left out; without effect, the model runs once a window.</param>
    /// <param name="cancellation">Looked at between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or the rule makes no sense for the model.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Run(Transformer model, TextWindows text, DropRequest rule, CancellationToken cancellation = default) =>
        Run(model, text, [rule], cancellation)[0];

    /// <summary>The same for several rules: a window's dense run serves them all, and they take turns window by window.</summary>
    /// <returns>A report for each rule.</returns>
    public static IReadOnlyList<WindowReport> Run(Transformer model, TextWindows text, IReadOnlyList<DropRequest> rules, CancellationToken cancellation = default) =>
        Measure(text, new(model, null), [.. rules.Select(rule => rule.IsNone ? null : new Contender(model, model.NewText(rule)))], cancellation);

    /// <summary>Runs all windows through two models, each as its <see cref="Transformer.Drop"/> says.</summary>
    /// <param name="reference">The model to be near to.</param>
    /// <param name="other">The model to be judged; the same vocabulary. The report's drop rate is its.</param>
    /// <param name="text">The windows.</param>
    /// <param name="cancellation">Looked at between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Compare(Transformer reference, Transformer other, TextWindows text, CancellationToken cancellation = default) =>
        Measure(text, new(reference, reference.NewText()), [new(other, other.NewText())], cancellation)[0];

    // Null among the others is the dense run once more, which needn't be made twice.
    private static WindowReport[] Measure(TextWindows text, Contender dense, IReadOnlyList<Contender?> others, CancellationToken cancellation)
    {
        int vocabulary = dense.Model.Config.VocabSize;
        var windows = others.Select(_ => new WindowFigures[text.Inputs.Count]).ToArray();
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

    // A model and a text's drop, which goes from window to window: thresholds that have moved with one go on with the next.
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

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
    /// <param name="together">Windows of each rank in a pass: more than one where loads are balanced, and a row depends on its pass.</param>
    public static WindowReport Run(Transformer model, TextWindows text, DropRequest rule, CancellationToken cancellation = default, int together = 1) =>
        Run(model, text, [rule], cancellation, together)[0];

    /// <summary>The same for several rules, which share each window's dense run and run one after another on each window.</summary>
    /// <returns>A report for each rule.</returns>
    public static IReadOnlyList<WindowReport> Run(
        Transformer model, TextWindows text, IReadOnlyList<DropRequest> rules, CancellationToken cancellation = default, int together = 1)
    {
        // What is compared with isn't balanced.
        bool balanced = model.BalanceSetting is not null;
        return Measure(text, new(model, null), [.. rules.Select(rule => rule.IsNone && !balanced ? null : new Contender(model, model.NewText(rule), balanced))], cancellation, together);
    }

    /// <summary>A report of the windows of each text that a mixture is of, beside that of the whole.</summary>
    public static IEnumerable<WindowReport> BySource(WindowReport report, TextWindows mixture) => mixture.Sources is not { } sources ? [report] :
    [
        report,
        .. sources.Distinct().Select(name => new WindowReport(
            $"of it {name}{(mixture.Marked![sources.ToList().IndexOf(name)] ? ", marked" : "")}", [.. report.Windows.Where((_, w) => sources[w] == name)], report.DropRate, report.Expected)),
    ];

    /// <summary>Runs all windows through two models, each with its <see cref="Transformer.Drop"/>.</summary>
    /// <param name="reference">The reference model.</param>
    /// <param name="other">The model to be compared, with the same vocabulary. The report's drop rate is this model's.</param>
    /// <param name="text">The windows.</param>
    /// <param name="cancellation">Checked between windows.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static WindowReport Compare(Transformer reference, Transformer other, TextWindows text, CancellationToken cancellation = default) =>
        Measure(text, new(reference, reference.NewText()), [new(other, other.NewText())], cancellation, together: 1)[0];

    // Null among the others stands for the dense run, which isn't repeated.
    private static WindowReport[] Measure(TextWindows text, Contender dense, IReadOnlyList<Contender?> others, CancellationToken cancellation, int together)
    {
        int vocabulary = dense.Model.Config.VocabSize;
        var windows = others.Select(_ => new WindowResult[text.Inputs.Count]).ToArray();
        foreach (int[] chosen in Enumerable.Range(0, text.Inputs.Count).Chunk(dense.Model.SideBySide * together))
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (int w in chosen)
                Check(text.Name, text.Targets[w], vocabulary);
            int[][] inputs = [.. chosen.Select(w => text.Inputs[w])];
            bool[] marks = [.. chosen.Select(w => text.Marked?[w] ?? false)];
            var references = dense.Run(inputs, marks);
            for (int i = 0; i < others.Count; i++)
            {
                var runs = others[i]?.Run(inputs, marks) ?? references;
                for (int j = 0; j < chosen.Length; j++)
                    windows[i][chosen[j]] = new(LossSums.Of(references[j].Values, runs[j].Values, text.Targets[chosen[j]], vocabulary), references[j].Seconds, runs[j].Seconds);
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
    private sealed record Contender(Transformer Model, TextDrop? Drop, bool Balanced = false)
    {
        // Side by side where each is on a rank of its own; thresholds that follow the text go from one window to the next, or, where windows depend on their
        // pass anyway, from one pass to the next.
        public Logits[] Run(int[][] windows, bool[] marks)
        {
            Model.Balanced = Balanced;
            return windows.Length == 1 || (Drop?.Plan.Followed is not null && !Balanced) ? [.. windows.Select((ids, i) => Pass([ids], [marks[i]])[0])] : Pass(windows, marks);
        }

        private Logits[] Pass(int[][] windows, bool[] marks)
        {
            var caches = new KvCache[windows.Length];
            try
            {
                for (int i = 0; i < windows.Length; i++)
                    caches[i] = Model.NewCache(windows[i].Length);
                TextDrop?[] texts = windows.Length == 1 ? [Drop] : [.. windows.Select(_ => Drop?.Part())];
                long started = Stopwatch.GetTimestamp();
                var values = Model.Forward([.. windows.Select((ids, i) => new SequenceChunk(caches[i], ids, LogitRows.All, Drop: texts[i], Marked: marks[i] ? Range.All : default))]);
                double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds / windows.Length;
                if (windows.Length > 1)
                    Array.ForEach(texts, text => Drop?.Join(text!));
                var result = new Logits[windows.Length];
                for (int i = 0; i < windows.Length; i++)
                {
                    int count = windows[i].Length * Model.Config.VocabSize;
                    result[i] = new Logits(values[..count].ToArray(), seconds);
                    values = values[count..];
                }

                return result;
            }
            finally
            {
                foreach (var cache in caches)
                    cache?.Dispose();
            }
        }
    }
}

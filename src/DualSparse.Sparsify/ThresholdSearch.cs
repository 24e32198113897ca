using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>The result of a search.</summary>
/// <param name="Methods">Thresholds by method, the best first.</param>
/// <param name="Means">By layer, the mean compensation.</param>
/// <param name="Norms">By layer, [experts] the mean ‖f_e(x)‖₂.</param>
internal sealed record SearchResult(IReadOnlyList<DropMethod> Methods, IReadOnlyList<Compensation?> Means, IReadOnlyList<IReadOnlyList<float>?> Norms);

/// <summary>
/// Distributes a budget of dropped work so that the loss is least. Within a layer a pair's score is its weight times its expert's deviation
/// from the mean output. Between layers: each layer's KL is measured while only that layer drops, a law KL_l(r) = a·(r/(1−r))^b is fitted,
/// and the budget is distributed so that all slopes are equal, where the sum of the losses is least.
/// </summary>
internal static class ThresholdSearch
{
    /// <summary>The names of the search and of the paper's rule: T ∓ .01 on ŝ with one T for all layers, without compensation.</summary>
    public const string Search = "search", Paper = "paper";

    /// <summary>The drop rates for which thresholds are computed.</summary>
    public static IReadOnlyList<double> Rates { get; } = [.. Enumerable.Range(1, 15).Select(r => r / 20.0)];

    // T_minor / T = T / T_major: on the model that ships 1.1 and 1.35 lose more on books or on technical text.
    private const float Spread = 1.25f;

    // The rates at which each layer's law is measured.
    private static readonly double[] s_lawRates = [0.15, 0.35, 0.6];

    // The number of windows on which layers' laws are measured, and on which the expected loss is.
    private const int LawWindows = 16, LossWindows = 32;

    /// <summary>Runs the search.</summary>
    /// <param name="folder">The checkpoint whose neurons are reordered.</param>
    /// <param name="stream">The same checkpoint, opened.</param>
    /// <param name="split">Text to calibrate on, and text to measure the loss on.</param>
    /// <param name="paperThresholds">The paper's rule for each of <see cref="Rates"/>.</param>
    /// <param name="progress">Receives the progress.</param>
    /// <param name="cancel">Cancels.</param>
    internal static SearchResult Run(
        string folder, LayerStream stream, CalibrationSplit split, IReadOnlyList<DropThresholds> paperThresholds, IProgress<SparsifyProgress>? progress, CancellationToken cancel)
    {
        var moe = stream.Config.Moe!;
        int layers = stream.Config.Layers;
        int[] routed = [.. Enumerable.Range(0, layers).Where(l => stream.Config.LayerPlan[l].IsMoe)];
        var scores = new LayerScores?[layers];
        float[]?[] scales = new float[]?[layers], norms = new float[]?[layers];
        var means = new Compensation?[layers];
        using (var checkpoint = Checkpoint.Open(folder))
        {
            ExpertOutputs? outputs = null;
            int last = split.Calibration.Count - 1;
            var hooks = new StreamHooks
            {
                Watch = _ => new PassWatch { Neurons = (_, routing) => (outputs ??= new ExpertOutputs(moe.Experts, moe.Intermediate)).Observer(routing) },
                After = step =>
                {
                    if (step.Window != last || outputs is null)
                        return;
                    (means[step.Layer], scales[step.Layer], norms[step.Layer], scores[step.Layer]) = outputs.Finish(checkpoint, step.Layer);
                    outputs = null;
                },
            };
            stream.Run(split.Calibration, [stream.Plan(DropRequest.None)], hooks, new StageProgress(progress, "expert outputs"), cancel);
        }

        DropMethod search = new(Search, DropScore.Weight, Compensate: true, scales, []);
        DropRequest[] oneLayer = [.. routed.SelectMany(l => s_lawRates.Select(rate => Request(search, At(l, rate))))];
        var sample = Spaced(split.Calibration, LawWindows);
        var losses = Loss(stream, sample, oneLayer, means, new StageProgress(progress, "layer losses"), cancel);
        var laws = routed.Select((_, i) => LossLaw.Through(s_lawRates, [.. s_lawRates.Select((_, r) => losses.Loss.Kl(1 + i * s_lawRates.Length + r))])).ToArray();

        var shares = Rates.Select(rate => LossLaw.Share(laws, rate, moe.TopK)).ToArray();
        var searched = shares.Select(share => Enumerable.Range(0, layers).Select(l =>
            Array.IndexOf(routed, l) is >= 0 and var i ? scores[l]!.Thresholds(share[i], Spread) : DropThresholds.None).ToArray()).ToArray();
        var paper = paperThresholds.Select(t => Enumerable.Range(0, layers).Select(_ => t).ToArray()).ToArray();

        DropMethod plain = new(Paper, DropScore.Gate, Compensate: false, null, []);
        DropRequest[] all = [.. searched.Select(t => Request(search, t)), .. paper.Select(t => Request(plain, t))];
        var (expected, counts) = split.HeldOut.Count == 0 ? (null, [])
            : Loss(stream, Spaced(split.HeldOut, LossWindows), all, means, new StageProgress(progress, "expected loss"), cancel);
        return new SearchResult(
            [search with { Points = Points(searched, 1) }, plain with { Points = Points(paper, 1 + Rates.Count) }], means, norms);

        DropThresholds[] At(int layer, double rate) =>
            [.. Enumerable.Range(0, layers).Select(l => l == layer ? scores[l]!.Thresholds(rate, Spread) : DropThresholds.None)];

        DropPoint[] Points(DropThresholds[][] thresholds, int first) => [.. Rates.Select((rate, r) => new DropPoint(
            rate, expected is null ? rate : Math.Round(Rate(counts[first + r]), 5), thresholds[r], expected?.Loss(first + r),
            expected is null ? null : [.. counts[first + r].Select(c => Math.Round(c.Rate, 5))]))];
    }

    private static double Rate(DropCounts[] layers) => layers.Aggregate((sum, c) => sum + c).Rate;

    private static DropRequest Request(DropMethod method, DropThresholds[] layers) =>
        (method with { Points = [new DropPoint(1, 1, layers, null)] }).Request(1);

    // Runs rules and the dense run, as many windows at a time as fit into a sixteenth of the checkpoint's size.
    private static (WindowLoss Loss, DropCounts[][] Counts) Loss(
        LayerStream stream, IReadOnlyList<int[]> windows, DropRequest[] rules, Compensation?[] means, IProgress<double> progress, CancellationToken cancel)
    {
        DropPlan[] variants = [stream.Plan(DropRequest.None), .. rules.Select(rule => stream.Plan(rule, means))];
        var loss = new WindowLoss(windows, variants.Length, stream.Config.VocabSize);
        var counts = variants.Select(_ => new DropCounts[stream.Config.Layers]).ToArray();
        long perWindow = (long)variants.Length * windows.Max(w => w.Length) * stream.Config.HiddenSize * sizeof(float);
        int together = (int)Math.Clamp(Math.Max(stream.CheckpointBytes / 16, LeastBytes) / perWindow, 1, windows.Count);
        for (int done = 0; done < windows.Count; done += together)
        {
            int first = done;
            int[][] batch = [.. windows.Skip(first).Take(together)];
            var hooks = new StreamHooks { Logits = (w, v, row, dense, logits) => loss.Add(first + w, v, row, dense, logits) };
            var batchCounts = stream.Run(batch, variants, hooks, new Part(progress, (double)first / windows.Count, (double)batch.Length / windows.Count), cancel);
            for (int v = 0; v < variants.Length; v++)
                counts[v] = [.. counts[v].Zip(batchCounts[v], (sum, c) => sum + c)];
        }

        return (loss, counts);
    }

    // Small checkpoints too run several windows at a time.
    private const long LeastBytes = 32 << 20;

    private static int[][] Spaced(IReadOnlyList<int[]> windows, int most) =>
        [.. Enumerable.Range(0, Math.Min(most, windows.Count)).Select(i => windows[(int)((long)i * windows.Count / Math.Min(most, windows.Count))])];

    private sealed class Part(IProgress<double> progress, double start, double share) : IProgress<double>
    {
        public void Report(double value) => progress.Report(start + share * value);
    }
}

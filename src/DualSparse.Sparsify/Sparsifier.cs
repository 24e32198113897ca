using System.Numerics.Tensors;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>
/// Reconstruction (arXiv 2508.18376, §4.1): a checkpoint that computes the same function, with every routed expert's neurons reordered by
/// importance, so that the first half is the major half; and its report.
/// </summary>
internal static class Sparsifier
{
    // Fewer tokens are too small a sample of an expert.
    private const int FewestTokens = 32;

    // δ, the distance of T_major and T_minor from T, as in the paper.
    private const float Delta = 0.01f;

    /// <summary>Calibrates and writes. The folder appears at the end, complete, or not at all.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="output">The folder to create; it must not exist.</param>
    /// <param name="split">Text to calibrate on; thresholds are searched if there is held-out text to measure their loss on.</param>
    /// <param name="source">The text's name in the report.</param>
    /// <param name="metric">The importance metric; null: <see cref="ImportanceMetric.Default"/>.</param>
    /// <param name="engine">How the model runs for calibration.</param>
    /// <param name="progress">Receives the progress.</param>
    /// <param name="cancel">Cancels; nothing is left.</param>
    /// <param name="leftOut">Receives what of the folder isn't copied, by name, once all is written: weights in other forms.</param>
    /// <exception cref="ArgumentException">An argument is out of its range.</exception>
    /// <exception cref="ModelFormatException">The model can't be read.</exception>
    /// <exception cref="IOException">The folder exists, or writing failed, for example because the disk is full.</exception>
    public static SparsifyReport Run(
        string model, string output, CalibrationSplit split, string source, ImportanceMetric? metric = null, EngineOptions? engine = null,
        IProgress<SparsifyProgress>? progress = null, CancellationToken cancel = default, Action<IReadOnlyList<string>>? leftOut = null)
    {
        var (sum, timesDownNorm) = metric ??= ImportanceMetric.Default;
        if (sum is < 1 or > NeuronImportance.Metrics)
            throw new ArgumentException($"the metric is {sum}, expected 1 to {NeuronImportance.Metrics}");
        if (split.HeldOut.Count > 0 && split.Calibration.Concat(split.HeldOut).Any(window => window.Length < 2))
            throw new ArgumentException("a window of one token predicts nothing, so no loss can be measured on it: use windows of 2 tokens or more");
        output = CheckpointFolder.Free(output);
        Calibration calibration;
        using (var stream = LayerStream.Open(model, engine))
            calibration = Calibration.Run(stream, split.Calibration, new StageProgress(progress, "calibrating"), cancel);

        using var checkpoint = Checkpoint.Open(model);
        List<int[][]?> orders = [];
        List<LayerReport> layers = [];
        for (int l = 0; l < calibration.Importance.Count; l++)
        {
            if (calibration.Importance[l] is not { } importance)
            {
                orders.Add(null);
                continue;
            }

            List<int> fallback = [];
            var order = new int[importance.Tokens.Count][];
            for (int e = 0; e < order.Length; e++)
            {
                bool calibrated = importance.Tokens[e] >= FewestTokens;
                if (!calibrated)
                    fallback.Add(e);
                var weights = checkpoint.Config.Tensors.Layer(l).Expert(e);
                double[] values = calibrated ? importance.Of(sum, e).ToArray() : WeightNorms.Of(checkpoint, weights);
                if (calibrated && timesDownNorm)
                    TensorPrimitives.Multiply(values, WeightNorms.Down(checkpoint, weights), values);
                order[e] = NeuronOrder.Descending(values);
            }

            orders.Add(order);
            double[] quantiles = [.. Enumerable.Range(1, 19).Select(q => calibration.Scores[l]!.Quantile(q / 20.0))];
            layers.Add(new LayerReport(l, importance.Tokens, fallback, quantiles));
        }

        var scores = ScoreHistogram.Sum(calibration.Scores.OfType<ScoreHistogram>());
        var report = new SparsifyReport(
            sum, timesDownNorm, new CalibrationSource(source, calibration.Windows, calibration.Tokens), [.. ThresholdSearch.Rates.Select(At)], layers);
        IReadOnlyList<string> left = [];
        CheckpointFolder.Make(output, folder =>
        {
            left = ReorderedCheckpoint.Write(checkpoint, orders, folder, new StageProgress(progress, "writing"), cancel);
            if (split.HeldOut.Count > 0)
                report = Search(folder, split, report, engine, progress, cancel);
            report.Save(folder);
        });
        leftOut?.Invoke(left);
        return report;

        RateThresholds At(double rate)
        {
            var thresholds = scores.Thresholds(rate, Delta);
            return new RateThresholds(rate, thresholds.Major, thresholds.Minor, Math.Round(scores.Rate(thresholds), 6));
        }
    }

    private static SparsifyReport Search(
        string folder, CalibrationSplit split, SparsifyReport report, EngineOptions? engine, IProgress<SparsifyProgress>? progress, CancellationToken cancel)
    {
        using var stream = LayerStream.Open(folder, engine);
        DropThresholds[] paper = [.. report.Thresholds.Select(t => new DropThresholds(t.Major, t.Minor))];
        var found = ThresholdSearch.Run(folder, stream, split, paper, progress, cancel);
        CompensationFile.Write(folder, found.Means, stream.Config.HiddenSize);
        return report with { Methods = found.Methods, Layers = [.. report.Layers.Select(l => l with { OutputNorms = found.Norms[l.Layer] })] };
    }
}

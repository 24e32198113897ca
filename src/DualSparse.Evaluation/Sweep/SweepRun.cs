using DualSparse.Engine;
using DualSparse.Models;

namespace DualSparse.Evaluation.Sweep;

/// <summary>One method at one drop rate on one text.</summary>
/// <param name="Method">The method.</param>
/// <param name="Rate">The target drop rate.</param>
/// <param name="Report">The result; its drop rate is the counted one.</param>
internal sealed record SweepPoint(SweepMethod Method, double Rate, WindowReport Report);

/// <summary>Compares methods of dropping work at equal drop: on each text every method's dial is set so that the counted rate is the same.</summary>
internal static class SweepRun
{
    // A larger difference means another model: the same one in another order differs by rounding, in int4 by some thousandths.
    private const double SameNll = 0.02;

    /// <summary>Runs the sweep.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="original">The original checkpoint; null unless a method has <see cref="NeuronHalves.Original"/>.</param>
    /// <param name="texts">Windows of text.</param>
    /// <param name="methods">The methods; those with the same neuron order share one loaded model.</param>
    /// <param name="rates">Drop rates.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="progress">Receives the share done, from 0 to 1.</param>
    /// <param name="cancellation">Checked between windows.</param>
    /// <returns>By text, then method, then rate.</returns>
    /// <exception cref="ArgumentException">A rate is out of range, the model has nothing to drop, or the original is another model.</exception>
    /// <exception cref="ModelFormatException">A checkpoint can't be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<SweepPoint> Run(
        string folder, string? original, IReadOnlyList<TextWindows> texts, IReadOnlyList<SweepMethod> methods, IReadOnlyList<double> rates,
        EngineOptions options, IProgress<double>? progress = null, CancellationToken cancellation = default)
    {
        if (rates.Count == 0 || rates.Any(r => !(r > 0 && r < 1)))
            throw new ArgumentException($"the drop rates are {string.Join(", ", rates)}, expected at least one, each above 0 and below 1");
        TextWindows.RequireNames(texts);
        var config = ModelConfig.Load(folder);
        if (config.Moe is not { } moe)
            throw new ArgumentException($"{folder} has no routed experts, so there is nothing to drop");
        Dictionary<TextWindows, GatingPlans> plans = [];
        List<SweepPoint> points = [];
        int done = 0;
        foreach (var group in methods.GroupBy(m => (m.Halves, m.Seed)))
        {
            string from = group.Key.Halves == NeuronHalves.Original ? original ?? throw new ArgumentException("stored orders need the original model") : folder;
            using var model = Transformer.Load(from, options with { Drop = DropRequest.None, NeuronOrder = group.First().Order(moe.Intermediate) }, cancel: cancellation);
            foreach (var text in texts)
            {
                if (!plans.TryGetValue(text, out var routing))
                    plans.Add(text, routing = GatingPlans.Of(model, text, cancellation));
                List<(SweepMethod Method, double Rate, DropRequest Rule)> runs = [];
                foreach (var method in group)
                {
                    foreach (double rate in rates)
                    {
                        runs.Add((method, rate, RateFinder.Find(model, text, routing, method, rate, cancellation)));
                        progress?.Report((double)++done / (methods.Count * texts.Count * rates.Count));
                    }
                }

                var reports = WindowEvaluation.Run(model, text, [.. runs.Select(r => r.Rule)], cancellation);
                points.AddRange(runs.Zip(reports, (run, report) => new SweepPoint(run.Method, run.Rate, report)));
                Check(points.First(p => p.Report.Name == text.Name).Report, reports[0], from);
            }
        }

        return [.. texts.SelectMany(t => points.Where(p => p.Report.Name == t.Name))];
    }

    private static void Check(WindowReport first, WindowReport other, string folder)
    {
        double apart = Math.Abs(first.Windows.Sum(w => w.Loss.DenseNll) - other.Windows.Sum(w => w.Loss.DenseNll)) / other.Tokens;
        if (apart > SameNll)
            throw new ArgumentException($"{folder} is another model: without a drop its loss differs by {apart:0.000} nats a token on {other.Name}, expected none");
    }
}

using System.Globalization;
using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Evaluation;

/// <summary>
/// The shipped model under a drop, on held-out text, against an independent implementation's figures (tests/golden/README.md): neurons as
/// stored (metric 0) and by each importance metric.
/// </summary>
public class DropQualityTests(ITestOutputHelper output)
{
    // One of each order, both texts, small drops and large; without SlowTests those of signed sums are left out. All figures take a minute or two
    // (docs/evaluation.md).
    [Theory]
    [InlineData(0, "tech", "0.055,0.055")]
    [InlineData(1, "tech", "0.07,0.09")]
    [InlineData(2, "books", "0.035,0.075")]
    [InlineData(3, "books", "0.10,0.12")]
    [InlineData(4, "tech", "0.045,0.065")]
    public void Figures_are_the_references(int metric, string set, string thresholds)
    {
        SlowTests.Require(metric is 1 or 3);
        Compare(metric, set, [thresholds]);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Orders))]
    public void All_figures_are_the_references(int metric, string set)
    {
        using var figures = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "figures.json")));
        var names = figures.RootElement.EnumerateObject().Select(f => f.Name.Split('/')).Where(n => n[0] == $"metric{metric}" && n[2] == set);
        Compare(metric, set, [.. names.Select(n => n[1])]);
    }

    public static TheoryData<int, string> Orders => new(Enumerable.Range(0, 5).SelectMany(m => new[] { (m, "books"), (m, "tech") }));

    private void Compare(int metric, string set, string[] thresholds)
    {
        using var figures = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "figures.json")));
        using var importance = SafetensorsFile.Open(TestPaths.Golden("eval", "importance.safetensors"));
        using var model = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32, NeuronOrder = metric == 0 ? null : Order(importance.Get($"importance_{metric}")) });
        var rules = thresholds.Select(t => t.Split(',').Select(x => float.Parse(x, CultureInfo.InvariantCulture)).ToArray())
            .Select(t => new DropRequest { Thresholds = new DropThresholds(t[0], t[1]) });
        var reports = WindowEvaluation.Run(model, HeldOutText.Of(set), [.. rules], TestContext.Current.CancellationToken);
        Assert.NotEmpty(reports);
        foreach (var (report, name) in reports.Zip(thresholds))
        {
            var expected = figures.RootElement.GetProperty($"metric{metric}/{name}/{set}");
            Near("nll", report.Nll.Value, 2e-4);
            Near("dnll", report.DeltaNll!.Value, 2e-4);
            Near("kl", report.KullbackLeibler!.Value, 2e-4);
            Near("flips", report.Flips!.Value, 1e-3);
            Near("drop", report.DropRate!.Value, 1e-3);

            void Near(string figure, double ours, double tolerance)
            {
                double theirs = expected.GetProperty(figure).GetDouble();
                output.WriteLine($"{name} {figure}: {ours:0.000000}, the reference {theirs:0.000000}");
                Assert.True(Math.Abs(ours - theirs) <= tolerance, $"{name}: {figure} is {ours}, expected {theirs} ± {tolerance}");
            }
        }
    }

    private static Func<int, int, int[]> Order(TensorView importance)
    {
        float[] values = importance.ReadFloats();
        int experts = (int)importance.Shape[1], neurons = (int)importance.Shape[2];
        return (layer, expert) => NeuronOrder.Descending([.. values.Skip((layer * experts + expert) * neurons).Take(neurons).Select(v => (double)v)]);
    }
}

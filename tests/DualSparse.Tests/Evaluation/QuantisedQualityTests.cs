using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;

namespace DualSparse.Tests.Evaluation;

/// <summary>The shipped model on held-out text: f32 gives the reference's loss, narrow weights stay within the limits of tests/golden/README.md.</summary>
public class QuantisedQualityTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("books")]
    [InlineData("tech")]
    public void Narrow_weights_stay_near(string set)
    {
        SlowTests.Require(set == "tech");
        using var figures = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "figures.json")));
        var text = HeldOutText.Of(set);
        using var f32 = Load(WeightFormat.F32);
        foreach (var (format, name) in new[] { (WeightFormat.Int8, "int8"), (WeightFormat.Int4, "int4") })
        {
            using var narrow = Load(format);
            var report = WindowEvaluation.Compare(f32, narrow, text, TestContext.Current.CancellationToken);
            double kl = report.KullbackLeibler!.Value;
            double limit = 1.25 * figures.RootElement.GetProperty($"{name}/{set}").GetProperty("kl").GetDouble();
            output.WriteLine($"{name} on {set}: KL {kl:0.00000} (at most {limit:0.00000}), flips {report.Flips!.Value:0.0000}, dNLL {report.DeltaNll!.Value:0.00000}");
            Assert.InRange(kl, 0, limit);
        }
    }

    [Theory]
    [InlineData("books")]
    [InlineData("tech")]
    public void F32_gives_the_references_loss(string set)
    {
        SlowTests.Require(set == "books");
        using var figures = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "figures.json")));
        using var f32 = Load(WeightFormat.F32);
        using var bf16 = Load(WeightFormat.Bf16);
        var report = WindowEvaluation.Compare(f32, bf16, HeldOutText.Of(set), TestContext.Current.CancellationToken);
        double expected = figures.RootElement.GetProperty($"dense/{set}").GetProperty("nll").GetDouble();
        Assert.InRange(report.Nll.Value - report.DeltaNll!.Value, expected - 2e-4, expected + 2e-4);
        Assert.InRange(report.Nll.Value, expected - 3e-3, expected + 3e-3);
    }

    private static Transformer Load(WeightFormat format) => Transformer.Load(TestPaths.Model, new EngineOptions { Weights = format });
}

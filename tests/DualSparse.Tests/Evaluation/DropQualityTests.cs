using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Evaluation;

/// <summary>The shipped model under a drop, on held-out text, against an independent implementation's figures (tests/golden/README.md).</summary>
public class DropQualityTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("0.07,0.09", "books")]
    [InlineData("0.055,0.055", "tech")]
    public void Neurons_as_stored_give_the_references_figures(string thresholds, string set)
    {
        using var figures = JsonDocument.Parse(File.ReadAllText(TestPaths.Golden("eval", "figures.json")));
        var expected = figures.RootElement.GetProperty($"metric0/{thresholds}/{set}");
        float[] pair = [.. thresholds.Split(',').Select(t => float.Parse(t, System.Globalization.CultureInfo.InvariantCulture))];
        var rule = new DropRule { Thresholds = new DropThresholds(pair[0], pair[1]) };
        using var dense = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32 });
        using var dropped = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32, Drop = rule });
        var report = WindowDivergence.Compare(dense, dropped, Ids(set, "input_ids"), Ids(set, "targets"));
        output.WriteLine($"{report}, drop {dropped.Counts.Rate:0.000000}");
        Near("nll", report.Nll, 2e-4);
        Near("dnll", report.Nll - report.ReferenceNll, 2e-4);
        Near("kl", report.KullbackLeibler, 2e-4);
        Near("flips", report.Flips, 1e-3);
        Near("drop", dropped.Counts.Rate, 1e-3);

        void Near(string name, double ours, double tolerance)
        {
            double theirs = expected.GetProperty(name).GetDouble();
            Assert.True(Math.Abs(ours - theirs) <= tolerance, $"{name} is {ours}, expected {theirs} ± {tolerance}");
        }
    }

    private static int[][] Ids(string set, string name)
    {
        using var file = SafetensorsFile.Open(TestPaths.Golden("eval", "windows.safetensors"));
        var tensor = file.Get($"{set}.{name}");
        return [.. tensor.ReadInt64s().Select(id => (int)id).Chunk((int)tensor.RowLength)];
    }
}

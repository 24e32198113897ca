using System.Xml.Linq;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Sweep;
using DualSparse.Kernels;

namespace DualSparse.Tests.Evaluation.Sweep;

/// <summary>Methods at equal drop: rates as wanted, orders that differ, a picture that holds them.</summary>
public class SweepRunTests
{
    private static readonly EngineOptions s_f32 = new() { Weights = WeightFormat.F32 };

    private static string Folder => TestPaths.Golden("olmoe");

    [Fact]
    public void Every_method_drops_what_is_wanted_and_the_orders_differ()
    {
        var methods = SweepMethods.Of(null, null, original: true, seeds: 2);
        Assert.Equal(["1t", "2t", "stored", "random-1", "random-2", "reversed", "top-k", "relative"], methods.Select(m => m.Name));
        double[] rates = [0.25, 0.5];
        var points = SweepRun.Run(Folder, Folder, [Text()], methods, rates, s_f32, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(methods.Count * rates.Length, points.Count);
        foreach (var point in points)
        {
            Assert.InRange(point.Report.DropRate!.Value, point.Rate - 0.001, point.Rate + 0.001);
            Assert.True(point.Report.KullbackLeibler!.Low > 0);
        }

        var kl = points.Where(p => p.Rate == 0.5).ToDictionary(p => p.Method.Name, p => p.Report.KullbackLeibler!.Value);
        // The original is here the checkpoint itself.
        Assert.Equal(kl["2t"], kl["stored"]);
        Assert.Equal(5, new[] { kl["1t"], kl["2t"], kl["random-1"], kl["random-2"], kl["reversed"] }.Distinct().Count());

        var links = SweepLinks.Of(points);
        var stored = links.Single(l => l.Rate == 0.5 && l.Method == "stored" && l.Beside == "2t");
        Assert.Equal(new Interval(1, 1, 1), stored.Ratio);
        var random = links.Single(l => l.Rate == 0.5 && l.Method == "reversed" && l.Beside == "random");
        Assert.Equal(kl["reversed"] / ((kl["random-1"] + kl["random-2"]) / 2), random.Ratio.Value, 1e-9);

        var picture = XDocument.Parse(SweepPicture.Draw(points));
        XNamespace svg = "http://www.w3.org/2000/svg";
        Assert.Equal(4, picture.Descendants(svg + "g").Count());
        // In each panel every method's line has its points.
        Assert.Equal(4 * points.Count, picture.Descendants(svg + "circle").Count());
        Assert.Contains(picture.Descendants(svg + "text"), t => t.Value.StartsWith("random: ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_rate_over_the_plans_is_the_counted_one_where_later_layers_see_the_same()
    {
        using var model = Transformer.Load(Folder, s_f32);
        var text = Text();
        var plans = GatingPlans.Of(model, text, TestContext.Current.CancellationToken);
        int layers = model.Config.Layers;
        var rule = new DropRequest
        {
            Layers = [.. Enumerable.Range(0, layers).Select(l => new LayerThresholds(l == layers - 1 ? new DropThresholds(0.2f, 0.25f) : DropThresholds.None))],
        };
        var report = WindowEvaluation.Run(model, text, rule, TestContext.Current.CancellationToken);
        Assert.True(report.DropRate > 0.05);
        Assert.Equal(report.DropRate.Value, plans.Rate(rule), 1e-9);
        Assert.Equal(layers * plans.Rate(rule), plans.LayerRates(rule)[^1], 1e-9);
    }

    [Fact]
    public void Profiles_bring_the_default_method_and_its_ingredients()
    {
        var profile = Profile();
        float[]?[] norms = [.. Enumerable.Range(0, 3).Select(_ => Enumerable.Range(1, 16).Select(e => (float)e).ToArray())];
        var methods = SweepMethods.Of(profile, norms, original: false, seeds: 0);
        Assert.Equal(["1t", "2t", "reversed", "top-k", "relative", "ours", "means", "layers", "contribution", "combination"], methods.Select(m => m.Name));
        using var model = Transformer.Load(Folder, s_f32);
        var plans = GatingPlans.Of(model, Text(), TestContext.Current.CancellationToken);
        var ours = plans.LayerRates(methods[5].At(plans, 0.8));
        var layers = methods[7].At(plans, 0.8);
        // A ten-thousandth of ŝ holds some pairs.
        foreach (var (own, wanted) in plans.LayerRates(layers).Zip(ours))
            Assert.Equal(wanted, own, 0.005);
        Assert.Equal((DropScore.Contribution, true), (methods[9].At(plans, 0.8).Score, methods[9].At(plans, 0.8).Compensate));
        Assert.Equal(methods.Count, Colours(methods).Distinct().Count());
        foreach (var method in methods)
            Assert.True(plans.Rate(method.At(plans, 0.2)) <= plans.Rate(method.At(plans, 0.6)), method.Name);
    }

    [Fact]
    public void Another_model_is_not_the_original()
    {
        var methods = SweepMethods.Of(null, null, original: true, seeds: 0).Where(m => m.Name is "2t" or "stored").ToArray();
        using var other = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(TestPaths.Model))
            File.Copy(file, other.File(Path.GetFileName(file)));
        string config = File.ReadAllText(other.File("config.json"));
        File.WriteAllText(other.File("config.json"), config.Replace("\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 2", StringComparison.Ordinal));
        Assert.Contains("is another model", Assert.Throws<ArgumentException>(
            () => SweepRun.Run(TestPaths.Model, other.Path, [HeldOutText.Of("books", 1)], methods, [0.25], s_f32, cancellation: TestContext.Current.CancellationToken)).Message);
    }

    // The legend's, of a picture with a point for each method.
    private static string[] Colours(IReadOnlyList<SweepMethod> methods)
    {
        // From a ΔNLL of 0 on, so that an axis begins a little below.
        var points = methods.Select((m, i) => new SweepPoint(
            m, 0.25, new WindowReport("numbers", [new WindowResult(new LossSums(10, 20, 20 + 0.1 * i, 1, 1), 2, 1)], 0.25)));
        var picture = XDocument.Parse(SweepPicture.Draw([.. points]));
        var legend = picture.Root!.Elements().Where(e => e.Name.LocalName == "path").ToArray();
        Assert.Equal(methods.Count, legend.Length);
        Assert.DoesNotContain(picture.Descendants(), e => e.Value == "-0");
        return [.. legend.Select(line => line.Attribute("stroke")!.Value)];
    }

    private static DropProfile Profile()
    {
        DropPoint Point(double rate, float threshold) => new(rate, rate, [new(threshold / 2, threshold), new(threshold, threshold), new(threshold, threshold)], null);
        return new DropProfile([new DropMethod("ours", DropScore.Gate, false, null, [Point(0.25, 0.2f), Point(0.5, 0.27f)])]);
    }

    private static TextWindows Text()
    {
        var random = new Random(4);
        int[] ids = [.. Enumerable.Range(0, 24 * 40 + 1).Select(_ => random.Next(3, 60))];
        return TextWindows.Cut("numbers", ids, 40, 24);
    }
}

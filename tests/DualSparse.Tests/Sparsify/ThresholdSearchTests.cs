using CsCheck;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>Where a budget of dropped work is spent, and how the result is used.</summary>
public class ThresholdSearchTests
{
    private static readonly EngineOptions s_f32 = new() { Weights = WeightFormat.F32 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void A_law_goes_through_what_follows_it()
    {
        var law = new LossLaw(0.01, 1.9);
        double[] rates = [0.1, 0.3, 0.6];
        var found = LossLaw.Through(rates, [.. rates.Select(law.At)]);
        Assert.Equal(law.Factor, found.Factor, 9);
        Assert.Equal(law.Exponent, found.Exponent, 9);
    }

    [Fact]
    public void No_other_shares_lose_less() => Gen.Select(Gen.Double[-6, 0], Gen.Double[1.3, 3], Gen.Double[-6, 0], Gen.Double[1.3, 3], Gen.Double[0.05, 0.75]).Sample((a, b, c, d, rate) =>
    {
        LossLaw[] laws = [new(Math.Pow(10, a), b), new(Math.Pow(10, c), d)];
        double[] shares = LossLaw.Share(laws, rate, topK: 8);
        Assert.Equal(rate, shares.Average(), 6);
        double least = laws[0].At(shares[0]) + laws[1].At(shares[1]);
        foreach (double moved in new[] { -0.02, -0.002, 0.002, 0.02 })
        {
            double first = shares[0] + moved, second = shares[1] - moved;
            if (Math.Min(first, second) > 0 && Math.Max(first, second) <= 0.9)
                Assert.True(laws[0].At(first) + laws[1].At(second) >= least * (1 - 1e-9));
        }
    });

    [Theory]
    [InlineData(0.05)]
    [InlineData(0.25)]
    [InlineData(0.6)]
    public void Keys_give_thresholds_of_a_rate(double rate)
    {
        var random = new Random(1);
        (float Key, bool Best)[] pairs = [.. Enumerable.Range(0, 8000).Select(i => (random.NextSingle(), i % 8 == 0))];
        var keys = new LayerScores(pairs);
        var thresholds = keys.Thresholds(rate, 1.25f);
        Assert.Equal(1.25 * 1.25, thresholds.Minor / thresholds.Major, 4);
        double dropped = pairs.Sum(p => DropPolicy.Decide(p.Key, p.Best, thresholds, guard: true) switch { Computation.Drop => 1, Computation.Major => 0.5, _ => 0 });
        Assert.Equal(keys.Rate(thresholds), dropped / pairs.Length, 9);
        Assert.InRange(dropped / pairs.Length, rate - 1e-3, rate + 1e-3);
    }

    // A tiny model of random weights, whole: what is written is what a model takes up, and rates are met.
    [Fact]
    public void A_searched_checkpoint_meets_rates_and_knows_its_loss()
    {
        using var folder = new TemporaryFolder();
        string output = folder.File("out");
        var random = new Random(3);
        int[][] Windows(int count) => [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, 60).Select(_ => random.Next(320)).ToArray())];
        var report = Sparsifier.Run(TestPaths.Golden("olmoe"), output, new CalibrationSplit(Windows(12), Windows(6)), "random ids", engine: s_f32, cancel: Cancel);
        Assert.Equal([ThresholdSearch.Search, ThresholdSearch.Paper], report.Methods!.Select(m => m.Name));
        Assert.All(report.Methods!, m => Assert.Equal(ThresholdSearch.Rates, m.Points.Select(p => p.Drop)));
        Assert.All(report.Methods!.SelectMany(m => m.Points), p => Assert.True(p.Loss!.Kl.Low <= p.Loss.Kl.Value && p.Loss.Kl.Value <= p.Loss.Kl.High && p.Loss.Kl.Value >= 0));

        foreach (var rule in new[] { new DropRequest { Rate = 0.25 }, new DropRequest { Rate = 0.33, Method = ThresholdSearch.Paper } })
        {
            using var model = Transformer.Load(output, s_f32 with { Drop = rule });
            var text = model.NewText();
            Assert.Equal(rule.Method is null, text.Plan.Rule(0, generated: false)!.Compensates);
            foreach (int[] window in Windows(6))
            {
                using var cache = model.NewCache(64);
                model.Forward(cache, window, LogitRows.None, text);
            }

            Assert.InRange(text.Counts.Rate, rule.Rate!.Value - 0.02, rule.Rate.Value + 0.02);
        }

        using var dense = Transformer.Load(output, s_f32);
        double kl = report.Methods![0].Points[3].Loss!.Kl.Value;
        var within = dense.Plan(new DropRequest { MaxKl = kl });
        Assert.Null(within.Rule(0, generated: false)!.Curve);
        Assert.Equal(kl, within.Expected!.Kl.Value, 1e-3 * kl);
        Assert.Equal(0.2, report.Methods![0].RateWithin(kl * (1 + 1e-9)), 6);
        // The best method by default and by name, whatever δ, which it has no use for: a text goes on.
        Assert.Same(dense.Plan(new DropRequest { Rate = 0.2 }).Followed, dense.Plan(new DropRequest { Rate = 0.3, Method = ThresholdSearch.Search, Delta = 0.5f }).Followed);
        Assert.Contains("no drop with a KL", Assert.Throws<ArgumentException>(() => dense.Plan(new DropRequest { MaxKl = 1e-30 })).Message);
        Assert.Contains("there is no method 'best'", Assert.Throws<ArgumentException>(() => dense.Plan(new DropRequest { Rate = 0.2, Method = "best" })).Message);
        Assert.Contains("expected 0 to 0.75", Assert.Throws<ArgumentException>(() => dense.Plan(new DropRequest { Rate = 0.8 })).Message);
        File.WriteAllText(Path.Combine(output, DropProfile.FileName), "{ \"methods\": [ { \"name\": 3 } ] }");
        Assert.Throws<DualSparse.Models.ModelFormatException>(() => Transformer.Load(output, s_f32 with { Drop = new DropRequest { Rate = 0.2 } }));
    }

    // With two experts a token the guard keeps a quarter of each layer's work: what one can't give the others have to.
    [Fact]
    public void No_layer_is_asked_for_more_than_the_guard_lets_go()
    {
        double[] shares = LossLaw.Share([new LossLaw(0.01, 1.5), new LossLaw(0.05, 1.5)], 0.7, topK: 2);
        Assert.Equal(0.75, shares[0], 1e-6);
        Assert.Equal(0.65, shares[1], 1e-6);
    }
}

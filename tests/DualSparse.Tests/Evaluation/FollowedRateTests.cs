using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Evaluation;

/// <summary>The shipped model sparsified with some of the sample: rates on held-out text, and what dualsparse.json says of their loss.</summary>
public sealed class FollowedRateTests(FollowedRateTests.SparsifiedModel sparsified, ITestOutputHelper output) : IClassFixture<FollowedRateTests.SparsifiedModel>
{
    // Of 48 windows a set.
    private const int Windows = 6;

    [Theory]
    [InlineData("books", 0.1)]
    [InlineData("books", 0.25)]
    [InlineData("books", 0.5)]
    [InlineData("tech", 0.1)]
    [InlineData("tech", 0.25)]
    [InlineData("tech", 0.5)]
    public void A_rate_is_met_within_two_points_and_its_loss_is_known_beforehand(string set, double rate)
    {
        var text = HeldOutText.Of(set, Windows);
        using var model = Load(DropRequest.None);
        var report = WindowEvaluation.Run(model, text, new DropRequest { Rate = rate }, TestContext.Current.CancellationToken);
        output.WriteLine($"{set} {rate}: dropped {report.DropRate:0.0000}, KL {report.KullbackLeibler!.Value:0.00000}, expected {report.Expected!.Kl.Value:0.00000}");
        Assert.InRange(report.DropRate!.Value, rate - 0.02, rate + 0.02);
        // A few windows of calibration and of text: the whole sample is nearer (docs/evaluation.md).
        Assert.InRange(report.Expected!.Kl.Value / report.KullbackLeibler!.Value, 0.5, 2);
    }

    [Fact]
    public void Several_rates_follow_the_text_each_for_itself()
    {
        var text = HeldOutText.Of("books", 3);
        DropRequest[] rules = [new() { Rate = 0.1 }, new() { Rate = 0.5 }];
        using Transformer model = Load(DropRequest.None), second = Load(rules[1]);
        var together = WindowEvaluation.Run(model, text, rules, TestContext.Current.CancellationToken);
        Assert.All(rules.Zip(together), pair => Same(WindowEvaluation.Run(model, text, pair.First, TestContext.Current.CancellationToken), pair.Second));
        Same(WindowEvaluation.Compare(model, second, text, TestContext.Current.CancellationToken), together[1]);

        static void Same(WindowReport expected, WindowReport found)
        {
            Assert.Equal(expected.Windows.Select(w => w.Loss), found.Windows.Select(w => w.Loss));
            Assert.Equal((expected.DropRate, expected.Expected), (found.DropRate, found.Expected));
        }
    }

    private Transformer Load(DropRequest rule) => Transformer.Load(sparsified.Folder, new EngineOptions { Weights = WeightFormat.F32, Drop = rule });

    /// <summary>Made once for all cases.</summary>
    public sealed class SparsifiedModel : IDisposable
    {
        private readonly TemporaryFolder folder = new();

        public SparsifiedModel()
        {
            var (windows, source) = new CalibrationInput(Windows: 32).Read(TestPaths.Model);
            Sparsifier.Run(TestPaths.Model, Folder, windows, source);
        }

        public string Folder => folder.File("out");

        public void Dispose() => folder.Dispose();
    }
}

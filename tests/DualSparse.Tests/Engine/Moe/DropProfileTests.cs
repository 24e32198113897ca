using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>A dualsparse.json that is damaged, or another model's, in a sentence and before any weight is loaded.</summary>
public class DropProfileTests
{
    private const string Layer = """{"major":0.1,"minor":0.2}""", Layers = $"[{Layer},{Layer},{Layer},{Layer}]";

    private const string Sound = $$"""{"methods":[{"name":"a","score":"gate","compensate":false,"scales":null,"points":[{"drop":0.2,"achieved":0.2,"thresholds":{{Layers}},"loss":null},{"drop":0.5,"achieved":0.5,"thresholds":{{Layers}},"loss":null}]}]}""";

    [Theory]
    [InlineData("\"gate\"", "\"contribution\"", "its score is Contribution, expected one that needs no output norms")]
    [InlineData("\"gate\"", "77", "its score is 77")]
    [InlineData("\"scales\":null", "\"scales\":[[1,1],[1,1],[1,1],[1,1]]", "'a' has scales for 2 experts, the model has 32")]
    [InlineData("\"scales\":null", "\"scales\":[[1,1]]", "its scales are not numbers above 0 for each of 4 layers")]
    [InlineData("\"loss\":null", "\"loss\":{\"kl\":{\"value\":0.1,\"low\":0.1,\"high\":0.1}}", "no ΔNLL or flips")]
    [InlineData("0.2,\"thresholds\":[{\"major\":0.1,\"minor\":0.2}", "0.2,\"thresholds\":[{\"major\":0.3,\"minor\":0.4}", "the thresholds at 0.5 are below those at 0.2")]
    public void Damage_is_named(string part, string by, string expected)
    {
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.WriteAllText(folder.File("dualsparse.json"), Sound);
        var options = new EngineOptions { Drop = new DropRequest { Rate = 0.3 } };
        using (Transformer.Load(folder.Path, options))
        {
            string damaged = Sound.Replace(part, by, StringComparison.Ordinal);
            Assert.NotEqual(Sound, damaged);
            File.WriteAllText(folder.File("dualsparse.json"), damaged);
        }

        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => Transformer.Load(folder.Path, options)).Message);
    }

    // A loss below what is written is a 0, and the next point's the first to go by.
    [Fact]
    public void A_loss_of_zero_is_one_too()
    {
        var none = new ExpectedLoss(new(0, 0, 0), new(0, 0, 0), new(0, 0, 0));
        var some = none with { Kl = new(0.004, 0.003, 0.005) };
        var method = new DropMethod("a", DropScore.Gate, false, null, [new(0.2, 0.2, [new(0.1f, 0.2f)], none), new(0.4, 0.4, [new(0.2f, 0.3f)], some)]);
        Assert.Null(DropMethod.Fault(method));
        Assert.Equal(0.25, method.RateWithin(0.001), 1e-9);
        Assert.Equal(0.4, method.RateWithin(0.004), 1e-9);
    }
}

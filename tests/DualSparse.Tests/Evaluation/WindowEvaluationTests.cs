using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Evaluation;

/// <summary>Windows of text, their loss with and without a drop, and intervals.</summary>
public class WindowEvaluationTests
{
    [Fact]
    public void Windows_follow_one_another_and_targets_are_one_ahead()
    {
        var windows = TextWindows.Cut("text", [0, 1, 2, 3, 4, 5, 6, 7], 3, 9);
        Assert.Equal([[0, 1, 2], [3, 4, 5]], windows.Inputs);
        Assert.Equal([[1, 2, 3], [4, 5, 6]], windows.Targets);
        Assert.Single(TextWindows.Cut("text", [0, 1, 2, 3], 3, 9).Inputs);
        Assert.Single(TextWindows.Cut("text", [0, 1, 2, 3, 4, 5, 6], 3, 1).Inputs);
        Assert.Throws<ArgumentException>(() => TextWindows.Cut("text", [0, 1, 2], 3, 9));
    }

    [Fact]
    public void With_an_opening_id_every_window_begins_with_it_and_predicts_all_of_its_own()
    {
        var windows = TextWindows.Cut("text", [0, 1, 2, 3, 4, 5, 6], 3, 9, opening: 9);
        Assert.Equal([[9, 0, 1], [9, 3, 4]], windows.Inputs);
        Assert.Equal([[0, 1, 2], [3, 4, 5]], windows.Targets);
        Assert.Equal(7, windows.TextTokens);
        Assert.Single(TextWindows.Cut("text", [0, 1, 2], 3, 9, opening: 9).Inputs);
        Assert.Throws<ArgumentException>(() => TextWindows.Cut("text", [0, 1], 3, 9, opening: 9));
    }

    [Fact]
    public void Intervals_are_the_closed_cases()
    {
        Assert.Equal(new Interval(2, 2, 2), PairedBootstrap.Ratio([2, 4, 8], [1, 2, 4]));
        // The mean of 400 fair coins: 0.5 ± 1.96 · 0.5 / 20.
        var coins = PairedBootstrap.Mean([.. Enumerable.Range(0, 400).Select(i => i % 2.0)]);
        Assert.Equal(0.5, coins.Value);
        Assert.InRange(coins.Low, 0.44, 0.46);
        Assert.InRange(coins.High, 0.54, 0.56);
        Assert.Throws<ArgumentException>(() => PairedBootstrap.Mean([]));
        Assert.Equal(new Interval(2, 2, 2), PairedBootstrap.Median([2, 2, 2, 900, 2, 2, 2, 2, 2]));
        var middle = PairedBootstrap.Median([.. Enumerable.Range(0, 101).Select(i => (double)i)]);
        Assert.Equal(50, middle.Value);
        // Of n evenly spread values the 95 % interval of the median reaches about 0.98·√n places to either side.
        Assert.InRange(middle.Low, 36, 44);
        Assert.InRange(middle.High, 56, 64);
        Assert.Throws<ArgumentException>(() => PairedBootstrap.Median([]));
    }

    [Fact]
    public void One_model_gives_what_two_give()
    {
        var text = HeldOutText.Of("books", 12);
        var rule = new DropRequest { Thresholds = new DropThresholds(0.07f, 0.09f) };
        using var model = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32 });
        using var dropped = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32, Drop = rule });
        var expected = WindowEvaluation.Compare(model, dropped, text, TestContext.Current.CancellationToken);
        var reports = WindowEvaluation.Run(model, text, [DropRequest.None, rule], TestContext.Current.CancellationToken);
        Assert.Null(reports[0].KullbackLeibler);
        var report = reports[1];
        Assert.Equal(12 * 512, report.Tokens);
        Assert.Equal(expected.Windows.Select(w => w.Loss), report.Windows.Select(w => w.Loss));
        Assert.Equal(report.Windows[3].Loss.DenseNll, reports[0].Windows[3].Loss.Nll);
        Assert.Equal(expected.DropRate, report.DropRate);
        Assert.True(report.Speed!.Low > 0);
        Assert.InRange(report.Perplexity.Value, report.Perplexity.Low, report.Perplexity.High);
    }

    [Theory]
    [InlineData(1L << 40)]
    [InlineData(-1L)]
    public void What_is_no_id_is_named(long id)
    {
        using var folder = new TemporaryFolder();
        TensorDeclaration[] tensors = [new("a.input_ids", TensorType.I64, 1, 2), new("a.targets", TensorType.I64, 1, 2)];
        using (var writer = new SafetensorsWriter(folder.File("ids.safetensors"), tensors))
        {
            foreach (var tensor in tensors)
                writer.AppendBytes(tensor.Name, System.Runtime.InteropServices.MemoryMarshal.AsBytes<long>([3, id]));
            writer.Commit();
        }

        Assert.Contains($"tensor 'a.input_ids' holds {id}, which is no token id", Assert.Throws<ModelFormatException>(() => TextWindows.ReadIds(folder.File("ids.safetensors"), 1)).Message);
    }
}

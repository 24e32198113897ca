using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Engine.Reference;

namespace DualSparse.Tests.Distributed;

/// <summary>Which placement is chosen, by what, and what people are told of it.</summary>
public class RankPlacementTests
{
    private static readonly MachineRates s_machine = new(10e9, 100e9);

    private static readonly LinkRates s_shared = new(0.5e-6, 9.6e9), s_slow = new(5e-3, 12.5e6);

    [Theory]
    [InlineData("olmoe", 2)]
    [InlineData("olmoe", 8)]
    [InlineData("qwen3-30b-a3b", 2)]
    public void One_token_on_one_machine_is_sliced(string shape, int ranks)
    {
        using var folder = Shape(shape, 16);
        var placement = Choose(folder, ranks, PassShape.Token, s_shared);
        Assert.Equal("slice", placement.Name);
        Assert.Matches(@"^\d+(\.\d+)? ms a token predicted, (hybrid:\d |own )\d.*; link 0\.5 µs, 9\.6 GB/s, 9\.6 both ways at once; a rank's memory 10 GB/s$", placement.Reason);
    }

    [Theory]
    [InlineData("olmoe", 2)]
    [InlineData("olmoe", 8)]
    [InlineData("mixtral", 4)]
    public void Many_texts_over_a_slow_link_are_dealt_out(string shape, int ranks)
    {
        using var folder = Shape(shape, 16);
        var placement = Choose(folder, ranks, new PassShape(16 * ranks, 16 * ranks, 16 * ranks), s_slow);
        Assert.Equal("own", placement.Name);
        Assert.Contains($"a pass of {16 * ranks} tokens predicted", placement.Reason);
        Assert.Equal("own", Choose(folder, ranks, PassShape.Windows(ranks, 512), s_slow).Name);
    }

    [Fact]
    public void What_cannot_be_placed_is_said_before_ranks_run()
    {
        using var folder = Shape("mixtral", 2);
        Assert.Contains("9 ranks can't share 8 experts a layer: start at most 8", Assert.Throws<ArgumentException>(() => RankPlacement.Choose(folder.Path, 9, null)).Message);
        Assert.Contains("9 ranks can't share 8 experts a layer", Assert.Throws<ArgumentException>(() => RankPlacement.Choose(folder.Path, 9, PlacementKind.Own)).Message);
        Assert.StartsWith("14336 neurons can't be cut into 3 equal parts of either half", RankPlacement.Choose(folder.Path, 3, null).Reason);
        Assert.Contains("; assuming link 1 µs", RankPlacement.Choose(folder.Path, 2, null).Reason);
    }

    [Fact]
    public void Experts_are_dealt_by_the_counts_of_dualsparse_json()
    {
        using var folder = Shape("mixtral", 2);
        long[] counts = [40, 30, 20, 10, 4, 3, 2, 1];
        Write(folder, counts, counts);
        var placement = RankPlacement.Choose(folder.Path, 2, PlacementKind.Own);
        Assert.Equal("as asked for; experts dealt by calibrated counts: balancedness 1.00, in blocks 0.55", placement.Reason);
        int[] dealt = ExpertPlacement.Packed(2, counts).RankOf.ToArray();
        Assert.Equal(dealt, placement.Of(1, 8).RankOf.ToArray());
        // The other ranks get it as JSON, and deal alike.
        var offered = JsonSerializer.Deserialize<RankPlacement>(JsonSerializer.Serialize(placement))!;
        Assert.Equal(dealt, offered.Of(1, 8).RankOf.ToArray());
        Assert.Equal(placement.Reason, offered.Reason);
        // A slice of every expert is even by itself.
        var slice = RankPlacement.Choose(folder.Path, 2, PlacementKind.Slice);
        Assert.Equal("as asked for", slice.Reason);
        Assert.Equal(ExpertPlacement.Blocks(2, 8, 2).RankOf.ToArray(), slice.Of(1, 8).RankOf.ToArray());
        Assert.Equal(1, slice.Balancedness());

        // Uneven experts cost own what they cost the busiest rank.
        long[] hot = [1000, 0, 0, 0, 0, 0, 0, 0];
        double even = Own(), uneven;
        Write(folder, hot, hot);
        uneven = Own();
        Assert.True(uneven > 1.1 * even, $"{even} {uneven}");

        double Own() => double.Parse(System.Text.RegularExpressions.Regex.Match(Choose(folder, 2, PassShape.Token, s_shared).Reason, @"own (\d+(\.\d+)?) ms").Groups[1].Value);
    }

    [Fact]
    public void Older_files_have_no_counts_and_wrong_ones_are_named()
    {
        using var folder = Shape("mixtral", 2);
        File.WriteAllText(folder.File("dualsparse.json"), """{"methods":null}""");
        Assert.Equal("as asked for", RankPlacement.Choose(folder.Path, 2, PlacementKind.Own).Reason);
        File.WriteAllText(folder.File("dualsparse.json"), """{"layers":[{"layer":0}]}""");
        Assert.Null(RankPlacement.Choose(folder.Path, 2, PlacementKind.Own).Counts);
        Write(folder, [1, 2, 3], [1, 2, 3]);
        Assert.Contains("layer 0 has counts of 3 experts, expected 8", Assert.Throws<ModelFormatException>(() => RankPlacement.Choose(folder.Path, 2, null)).Message);
        Write(folder, [1, 2, 3, 4, 5, 6, 7, -1]);
        Assert.Contains("none below 0", Assert.Throws<ModelFormatException>(() => RankPlacement.Choose(folder.Path, 2, null)).Message);
        Write(folder, new long[8], new long[8], new long[8]);
        Assert.Contains("layer 2 has counts of 8 experts, expected 0", Assert.Throws<ModelFormatException>(() => RankPlacement.Choose(folder.Path, 2, null)).Message);
        Write(folder, new long[8], new long[8]);
        Assert.Equal(1, RankPlacement.Choose(folder.Path, 2, PlacementKind.Own).Balancedness());
    }

    [Fact]
    public void Inspect_shows_each_ranks_share()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        Assert.DoesNotContain("work", CommandRun.Of("inspect", folder.Path, "--ranks", "2").Output);
        long[] counts = [40, 30, 20, 10, 4, 3, 2, 1];
        Write(folder, counts, counts, counts);
        var run = CommandRun.Of("inspect", folder.Path, "--ranks", "2", "--placement", "own");
        Assert.True(run.Code == 0, run.Errors);
        Assert.Contains("balancedness 1.00, in blocks 0.55", run.Output);
        Assert.Matches(@"\| 0 .*\| 50\.0 ?%", run.Output);
        using var json = JsonDocument.Parse(CommandRun.Of("inspect", folder.Path, "--ranks", "2", "--placement", "own", "--json").Output);
        Assert.Equal(1, json.RootElement.GetProperty("balancedness").GetDouble());
        Assert.Equal(0.5, json.RootElement.GetProperty("ranks")[1].GetProperty("share").GetDouble());
    }

    [Fact]
    public void Ranks_measure_their_link_and_deal_experts_by_counts()
    {
        const string launcher = "mpirun.openmpi";
        using var folder = RandomModel.Write("""{"model_type":"mixtral","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":4,"num_local_experts":8,"num_experts_per_tok":2,"intermediate_size":256,"vocab_size":4096}""");
        Write(folder, [40, 30, 20, 10, 4, 3, 2, 1], [1, 1, 1, 1, 1, 1, 1, 1]);
        string[] command = ["eval", folder.Path, "--ids", TestPaths.Golden("eval", "windows.safetensors"), "--windows", "1", "--json"];
        var chosen = MpiRun.Of(launcher, (2, command));
        Assert.True(chosen.Code == 0, chosen.Errors);
        var reason = System.Text.RegularExpressions.Regex.Match(chosen.Errors, @"2 ranks, placement (\w+): .* a pass of 1024 tokens predicted, (own|slice) .*; link (\d+(\.\d+)?) (µs|ms), (\d+(\.\d+)?) GB/s, \d+(\.\d+)? both ways at once; a rank's memory (\d+(\.\d+)?) GB/s");
        Assert.True(reason.Success, chosen.Errors);

        // What is asked for isn't measured. Experts dealt out by counts give the bits of one process that has them so.
        var own = MpiRun.Of(launcher, (2, [.. command, "--placement", "own"]));
        Assert.Contains("as asked for; experts dealt by calibrated counts: balancedness 1.00", own.Errors);
        Assert.True(reason.Groups[1].Value != "own" || chosen.Output == own.Output, chosen.Output);
        var placement = RankPlacement.Choose(folder.Path, 2, PlacementKind.Own);
        Assert.NotEqual(ExpertPlacement.Blocks(2, 8).RankOf.ToArray(), placement.Of(0, 8).RankOf.ToArray());
        using var model = Transformer.Load(folder.Path, new EngineOptions { Placement = placement.Of });
        using var json = JsonDocument.Parse(own.Output);
        foreach (var text in TextWindows.ReadIds(TestPaths.Golden("eval", "windows.safetensors"), 1))
        {
            double found = json.RootElement.GetProperty("texts").GetProperty(text.Name).GetProperty("nll").GetProperty("value").GetDouble();
            Assert.Equal(WindowEvaluation.Run(model, text, DropRequest.None, TestContext.Current.CancellationToken).Nll.Value, found);
        }
    }

    /// <summary>A folder that has nothing but the configuration of a shape.</summary>
    internal static TemporaryFolder Shape(string name, int layers)
    {
        var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), RandomCheckpoint.Config(LayerShape.Named(name), layers));
        return folder;
    }

    private static RankPlacement Choose(TemporaryFolder folder, int ranks, PassShape pass, LinkRates link) =>
        RankPlacement.Choose(folder.Path, ranks, PlacementKind.Fastest(new PlacementSetting(RankWork.Of(pass), WeightFormat.Bf16, ActivationFormat.Bf16, s_machine, link)));

    private static void Write(TemporaryFolder folder, params long[][] counts) => File.WriteAllText(
        folder.File("dualsparse.json"), JsonSerializer.Serialize(new { layers = counts.Select((layer, l) => new { layer = l, tokensPerExpert = layer }) }));
}

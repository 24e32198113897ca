using System.Text.Json;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;

namespace DualSparse.Tests.Distributed;

/// <summary>Commands over several real processes, beside one with the same placement: the same bits (<see cref="RankExactnessTests"/> has every placement); and mistakes, in a sentence.</summary>
public class RankTests
{
    private const string Prompt = "Once upon a time";

    [Theory]
    [InlineData("mpirun.openmpi", 2, "own", WeightFormat.Bf16, 0)]
    [InlineData("mpirun.mpich", 2, "slice", WeightFormat.Int4, 0.3)]
    public void Ranks_give_the_bits_of_one_process_with_their_placement(string launcher, int ranks, string placement, object weights, double drop)
    {
        var format = (WeightFormat)weights;
        string[] rule = drop > 0 ? ["--drop", $"{drop}"] : [];
        var run = MpiRun.Of(launcher, (ranks, ["generate", Prompt, "-n", "12", "--temperature", "0", "--json", "--logprobs", "2", "--weights", $"{format}", "--placement", placement, .. rule]));
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        var tokens = json.RootElement.GetProperty("tokens").EnumerateArray().Select(t => (t.GetProperty("id").GetInt32(), t.GetProperty("logProb").GetSingle())).ToArray();

        var options = OneProcess(ranks, placement, format) with { Drop = drop > 0 ? new DropRequest { Rate = drop } : DropRequest.None };
        using var model = MoeModel.Load(TestPaths.Model, options);
        using var session = model.NewSession();
        var expected = session.Generate(Prompt, new GenerationOptions { MaxTokens = 12, LogProbs = 2 }).Select(t => (t.Id, t.LogProb!.Value)).ToArray();
        Assert.Equal(expected, tokens);
    }

    // More rows than the first part of a message holds; windows side by side where each has a rank, one after another where thresholds follow the text.
    [Theory]
    [InlineData("mpirun.openmpi", 3, "own", WeightFormat.Int8, 0, 0)]
    [InlineData("mpirun.mpich", 3, "hybrid:2", WeightFormat.F32, 0.07, 0)]
    [InlineData("mpirun.mpich", 2, "slice", WeightFormat.Bf16, 0, 0.3)]
    public void Windows_of_text_give_the_losses_of_one_process(string launcher, int ranks, string placement, object weights, double threshold, double rate)
    {
        SlowTests.Require(placement == "own");
        var format = (WeightFormat)weights;
        string file = TestPaths.Golden("eval", "windows.safetensors");
        var rule = threshold > 0 ? new DropRequest { Thresholds = new((float)threshold, (float)threshold) } : new DropRequest { Rate = rate > 0 ? rate : null };
        string[] drop = threshold > 0 ? ["--t-major", $"{threshold}"] : rate > 0 ? ["--drop", $"{rate}"] : [];
        var run = MpiRun.Of(launcher, (ranks, ["eval", "--ids", file, "--windows", "2", "--json", "--weights", $"{format}", "--placement", placement, .. drop]));
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        using var model = Transformer.Load(TestPaths.Model, OneProcess(ranks, placement, format));
        foreach (var text in TextWindows.ReadIds(file, 2))
        {
            var found = json.RootElement.GetProperty("texts").GetProperty(text.Name);
            var expected = WindowEvaluation.Run(model, text, rule, TestContext.Current.CancellationToken);
            Assert.Equal(expected.Nll.Value, found.GetProperty("nll").GetProperty("value").GetDouble());
            if (drop.Length > 0)
                Assert.Equal((expected.KullbackLeibler!.Value, expected.DropRate!.Value), (found.GetProperty("kl").GetProperty("value").GetDouble(), found.GetProperty("dropRate").GetDouble()));
        }
    }

    // Items are parts of a text, which go on where the text's thresholds are, and join it.
    [Theory]
    [InlineData("mpirun.openmpi", 2, "slice")]
    [InlineData("mpirun.openmpi", 3, "own")]
    public void Tasks_follow_a_text_as_in_one_process(string launcher, int ranks, string placement)
    {
        SlowTests.Require(placement == "slice");
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder.File("sciq.jsonl"), Enumerable.Range(0, 9).Select(i => $$"""{"query": "What is {{i}} times the sea?", "choices": ["one", "a long way to go", "two"], "gold": 0}"""));
        string[] command = ["eval", "--tasks", "sciq", "--data", folder.File(""), "--json", "--weights", "f32", "--drop", "0.4"];
        var run = MpiRun.Of(launcher, (ranks, [.. command, "--placement", placement]));
        Assert.True(run.Code == 0, run.Errors);
        using var found = JsonDocument.Parse(run.Output);
        using var expected = JsonDocument.Parse(Cli.CommandRun.Of(command).Output);
        JsonElement many = found.RootElement.GetProperty("tasks").GetProperty("sciq"), one = expected.RootElement.GetProperty("tasks").GetProperty("sciq");
        foreach (string name in new[] { "acc", "accNorm", "denseAcc", "dropRate" })
            Assert.Equal(one.GetProperty(name).GetDouble(), many.GetProperty(name).GetDouble(), 1e-3);
    }

    [Theory]
    [InlineData("mpirun.mpich", "deepseek_v2", 3, "own")]
    [InlineData("mpirun.openmpi", "qwen2_moe", 2, "slice")]
    [InlineData("mpirun.openmpi", "vl/qwen3_vl_moe", 2, "slice")]
    [InlineData("mpirun.mpich", "vl/qwen3_vl_moe_released", 2, "own")]
    public void Families_agree_with_golden_logits_on_several_ranks(string launcher, string family, int ranks, string placement)
    {
        var run = MpiRun.Of(launcher, (ranks, ["verify", TestPaths.Golden(family), "--weights", "f32", "--placement", placement]));
        Assert.True(run.Code == 0, run.Output + run.Errors);
        Assert.EndsWith("agrees\n", run.Output);
    }

    [Fact]
    public void The_program_starts_its_ranks_itself()
    {
        string[] command = ["generate", Prompt, "-n", "12", "--temperature", "0"];
        var run = MpiRun.Own([.. command, "--ranks", "2"]);
        Assert.Equal((0, Cli.CommandRun.Of(command).Output), (run.Code, run.Output));
        Assert.Matches(@"2 ranks, placement (own|slice): .* a prompt of \d+ tokens and 12 generated predicted, ", run.Errors);
    }

    [Theory]
    [InlineData("33 ranks can't share 32 experts a layer: start at most 32", "--ranks", "33")]
    [InlineData("experts of 128 neurons can't be cut into 3 parts", "--ranks", "3", "--placement", "slice")]
    [InlineData("--placement is 'split', expected own, own:in-order, slice or hybrid:P", "--ranks", "2", "--placement", "split")]
    [InlineData("--ranks is 0, expected 1 to 1024", "--ranks", "0")]
    [InlineData("nowhere: there is no such folder", "--ranks", "2", "-m", "nowhere")]
    [InlineData("--peer-timeout is 0, expected a positive number of seconds", "--peer-timeout", "0")]
    [InlineData("temperature is -1", "--ranks", "2", "--temperature", "-1")]
    public void A_mistake_is_one_sentence_before_any_rank_starts(string sentence, params string[] arguments) =>
        Assert.Contains(sentence, Cli.CommandRun.Mistake(["generate", Prompt, "-n", "4", .. arguments]));

    [Theory]
    [InlineData("mpirun.openmpi", "its weights are Int8, but Bf16 at rank 0", "--weights", "int8")]
    [InlineData("mpirun.mpich", "its weights are Int8, but Bf16 at rank 0", "--weights", "int8")]
    [InlineData("mpirun.openmpi", "is another model than at rank 0", "-m", "GOLDEN/olmoe")]
    [InlineData("mpirun.openmpi", "nowhere: there is no such folder", "-m", "nowhere")]
    public void Ranks_that_are_told_different_things_say_which(string launcher, string sentence, params string[] other)
    {
        string[] command = ["generate", Prompt, "-n", "4"];
        var run = MpiRun.Of(launcher, (1, command), (1, [.. command, .. other.Select(o => o.Replace("GOLDEN", TestPaths.Golden(), StringComparison.Ordinal))]));
        Assert.Equal(1, run.Code);
        Assert.Contains($"dualsparse: rank 1: ", run.Errors);
        Assert.Contains(sentence, run.Errors);
    }

    [Fact]
    public void Ranks_that_add_up_in_other_vectors_make_no_slices()
    {
        if (!System.Runtime.Intrinsics.Vector512.IsHardwareAccelerated)
            Assert.Skip("needs AVX-512: narrower vectors have nothing to differ from");
        string command = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "dualsparse.dll")}' generate '{Prompt}' -n 4 --placement slice";
        var run = MpiRun.Shell($"DUALSPARSE_KERNEL=avx2 mpirun.openmpi -q --oversubscribe -n 1 -x DUALSPARSE_KERNEL {command} : -n 1 -x DUALSPARSE_KERNEL -x DOTNET_EnableAVX512=0 {command}");
        Assert.Equal(1, run.Code);
        Assert.Contains("adds up in vectors of 32 bytes, rank 0 in 64", run.Errors);
    }

    [Fact]
    public void One_rank_runs_here_without_mpi()
    {
        Assert.Equal(1, Ranks.Count);
        Assert.Equal(7, Ranks.Run(TestPaths.Model, null, model =>
        {
            using var session = model.NewSession();
            Assert.Equal(2, session.Generate(Prompt, new GenerationOptions { MaxTokens = 2 }).Count());
            return 7;
        }));
        Assert.Throws<ModelFormatException>(() => Ranks.Run("nowhere", null, _ => 0));
    }

    [Fact]
    public void A_text_from_standard_input_is_the_first_ranks()
    {
        string[] options = ["--context", "32", "--windows", "1", "--json"];
        string file = TestPaths.InRepository("README.md");
        string launch = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "dualsparse.dll")}' eval --text - {string.Join(' ', options)} --ranks 2 --placement own";
        var run = MpiRun.Shell($"{launch} < '{file}'");
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        Assert.Equal(32, json.RootElement.GetProperty("texts").GetProperty("standard input").GetProperty("tokens").GetInt32());
        Assert.Contains("--ranks has no meaning beside it", Cli.CommandRun.Mistake("eval", "--sweep", "--text", file, "--ranks", "2"));
    }

    [Fact]
    public void Another_number_of_ranks_than_was_started_is_said() => Assert.Contains(
        "--ranks is 3, but 2 processes were started", MpiRun.Of("mpirun.openmpi", (2, ["generate", Prompt, "--ranks", "3"])).Errors);

    // What these ranks compute, in one process.
    private static EngineOptions OneProcess(int ranks, string placement, WeightFormat format) =>
        new RankPlacement(ranks, PlacementKind.Parse(placement).Parts ?? ranks, "").Apply(new EngineOptions { Weights = format });
}

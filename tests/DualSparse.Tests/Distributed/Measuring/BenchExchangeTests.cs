using System.Text.Json;
using DualSparse.Distributed.Measuring;

namespace DualSparse.Tests.Distributed.Measuring;

/// <summary><c>bench exchange</c> over real ranks: every round checks its sums, and bytes are those of the formula.</summary>
public class BenchExchangeTests
{
    [Theory]
    [InlineData("mpirun.openmpi", 2, 70, 0, "bf16", "f32")]
    [InlineData("mpirun.openmpi", 4, 70, 1.2, "f32", "bf16", "--pairwise")]
    [InlineData("mpirun.mpich", 2, 1, 0, "bf16", "bf16")]
    [InlineData("mpirun.mpich", 4, 70, 4, "bf16", "f32", "--pairwise")]
    public void Ranks_move_the_right_bytes(string launcher, int ranks, int tokens, double zipf, string rows, string sums, params string[] order)
    {
        var run = MpiRun.Of(launcher, (ranks, ["bench", "exchange", "--tokens", $"{tokens}", "--hidden", "515", "--zipf", $"{zipf}", "--rows", rows, "--sums", sums, "--rounds", "2", "--json", .. order]));
        Assert.True(run.Code == 0, run.Errors);
        var shape = new ExchangeShape(tokens, 515, 64, 8, zipf, Enum.Parse<WireFormat>(rows, true), Enum.Parse<WireFormat>(sums, true));
        var routing = new ShapedRouting(shape, ranks);
        using var json = JsonDocument.Parse(run.Output);
        Assert.Equal(shape.InputBytes, json.RootElement.GetProperty("shape").GetProperty("inputBytes").GetInt64());
        var results = json.RootElement.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(2 * ExpertArrangement.All(ranks).Count, results.Length);
        foreach (var result in results)
        {
            var sets = new RowSets(routing, new ExpertArrangement(result.GetProperty("groups").GetInt32(), result.GetProperty("parts").GetInt32()));
            var scheme = Enum.GetValues<ExchangeScheme>().Single(s => s.Name() == result.GetProperty("scheme").GetString());
            Assert.Equal(Enumerable.Range(0, ranks).Select(r => ExchangeBytes.Dispatch(scheme, sets, shape, r)), Longs(result.GetProperty("dispatchBytes")));
            Assert.Equal(Enumerable.Range(0, ranks).Select(r => ExchangeBytes.Combine(sets, shape, r)), Longs(result.GetProperty("combineBytes")));
            Assert.InRange(result.GetProperty("largestError").GetDouble(), 0, sums == "f32" ? 2e-6 : 8e-3);
            double seconds = result.GetProperty("milliseconds").GetDouble() / 1e3;
            Assert.True(seconds > 0);
            Assert.Equal(shape.InputBytes / seconds / 1e6, result.GetProperty("megabytesPerSecond").GetDouble(), 1e-9 * shape.InputBytes / seconds / 1e6);
            bool split = scheme == ExchangeScheme.SplitExperts;
            Assert.Equal(split ? JsonValueKind.Number : JsonValueKind.Null, result.GetProperty("bandwidthRatio").ValueKind);
        }
    }

    [Fact]
    public void It_starts_its_ranks_itself_and_shows_a_table()
    {
        var run = MpiRun.Own("bench", "exchange", "--tokens", "4", "--hidden", "64", "--rounds", "2", "--ranks", "3");
        Assert.True(run.Code == 0, run.Errors);
        // Open MPI gives ranks a terminal, where lines are broken.
        string output = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        foreach (string shown in new[] { "3 ranks", "1×3", "3×1", "EP×TP", "S-ETP", "3 to 30 %", "every sum of every round was checked" })
            Assert.Contains(shown, output);
        Assert.Equal("", run.Errors);
    }

    [Fact]
    public void Ranks_that_are_told_different_things_say_so()
    {
        string[] command = ["bench", "exchange", "--rounds", "2"];
        var run = MpiRun.Of("mpirun.openmpi", (1, command), (1, [.. command, "--tokens", "5"]));
        Assert.Equal(1, run.Code);
        Assert.Contains("rank 1 was started with other options than rank 0", run.Errors);
    }

    [Theory]
    [InlineData("give --ranks 2 or more")]
    [InlineData("--tokens is 0, expected at least 1", "--tokens", "0")]
    [InlineData("--top-k is 9, but there are 8 experts", "--top-k", "9", "--experts", "8")]
    [InlineData("--zipf is -1, expected 0 (all experts alike) to 4", "--zipf", "-1")]
    [InlineData("--rows is 'int8', expected bf16 or f32", "--rows", "int8")]
    [InlineData("--rounds is 0, expected at least 1", "--rounds", "0", "--ranks", "2")]
    [InlineData("more than the 2 GiB of a message", "--tokens", "2000000")]
    [InlineData("--hosts goes with --ranks", "--hosts", "a")]
    [InlineData("there is no option '--placement'", "--placement", "own")]
    public void A_mistake_is_one_sentence(string sentence, params string[] arguments) =>
        Assert.Contains(sentence, Cli.CommandRun.Mistake(["bench", "exchange", .. arguments]));

    [Fact]
    public void What_stands_before_the_word_is_refused()
    {
        Assert.Contains("--json stands before 'exchange': put it after", Cli.CommandRun.Mistake("bench", "--json", "exchange"));
        Assert.Contains("'exchange' times messages alone: leave OUT out", Cli.CommandRun.Mistake("bench", "OUT", "exchange"));
    }

    private static IEnumerable<long> Longs(JsonElement array) => array.EnumerateArray().Select(value => value.GetInt64());
}

using System.Text.Json;
using DualSparse.Tests.Distributed;

namespace DualSparse.Tests.Cli;

public class BenchScMoeCommandTests
{
    private static readonly string[] s_small = ["bench", "scmoe", "--hidden", "64", "--tokens", "48", "--rounds", "1"];

    // Bits are compared inside, between all orders of the operators.
    [Fact]
    public void Ranks_run_every_variant_in_every_order()
    {
        var run = MpiRun.Of("mpirun.openmpi", (2, [.. s_small, "--json"]));
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        var link = json.RootElement.GetProperty("links")[0];
        var rows = link.GetProperty("rows").EnumerateArray().ToArray();
        Assert.Equal(["top-2", "top-2, overlapped", "shared expert", "position 1", "position 2", "position 3", "ScMoE-2", "DGMoE"], rows.Select(row => row.GetProperty("name").GetString()));
        Assert.All(rows, row =>
        {
            Assert.True(row.GetProperty("milliseconds").GetDouble() > 0 && row.GetProperty("boundMilliseconds").GetDouble() > 0);
            Assert.InRange(row.GetProperty("hidden").GetDouble(), 0, 1);
            Assert.True(row.GetProperty("bestMilliseconds").GetDouble() <= row.GetProperty("milliseconds").GetDouble());
            Assert.Contains("experts", row.GetProperty("lanes").EnumerateArray().Select(lane => lane.GetProperty("name").GetString()));
        });
    }

    // Forward and backward stand in the place of inference, of which top-2 alone is run.
    [Fact]
    public void Ranks_train_every_variant()
    {
        var run = MpiRun.Of("mpirun.mpich", (2, [.. s_small, "--training", "--json"]));
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        var link = json.RootElement.GetProperty("links")[0];
        Assert.Single(link.GetProperty("rows").EnumerateArray());
        var trained = link.GetProperty("training").EnumerateArray().ToArray();
        Assert.Equal(["top-2", "shared expert", "position 1", "position 2", "position 3", "ScMoE-2", "DGMoE"], trained.Select(row => row.GetProperty("name").GetString()));
        Assert.All(trained, row => Assert.True(row.GetProperty("milliseconds").GetDouble() > 0 && row.GetProperty("overBound").GetDouble() > 0));
    }

    [Fact]
    public void A_picture_has_a_lane_for_each_operator()
    {
        using var folder = new TemporaryFolder();
        var run = MpiRun.Own([.. s_small, "--ranks", "2", "--picture", folder.File("pair.svg")]);
        Assert.True(run.Code == 0, run.Errors);
        string svg = File.ReadAllText(folder.File("pair.svg"));
        foreach (string word in new[] { "first attention", "shared expert", "rows under way", "sums under way", "waiting", "DGMoE" })
            Assert.Contains(word, svg);
    }

    [Theory]
    [InlineData("--hidden is 40, expected a multiple of 32", "--hidden", "40")]
    [InlineData("'0' in --shares, expected whole percents", "--shares", "0")]
    [InlineData("--shares is of emulated links: leave --ranks out", "--shares", "50", "--ranks", "2")]
    [InlineData("--ranks is 9, but there are 8 experts", "--ranks", "9")]
    [InlineData("--rounds is 0, expected at least 1", "--rounds", "0")]
    public void What_makes_no_sense_is_a_sentence(string expected, params string[] arguments) =>
        Assert.Contains(expected, CommandRun.Mistake(["bench", "scmoe", .. arguments]));
}

using System.Text.Json;
using System.Xml.Linq;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Distributed;

namespace DualSparse.Tests.Benchmarking.ExpertParallel;

/// <summary><c>bench ep</c> over real ranks and without any: its figures fit each other, and bytes are those of the plans.</summary>
public class BenchEpTests
{
    private static readonly string s_text = TestPaths.InRepository("data", "calibration", "calibration.txt");

    [Theory]
    [InlineData("mpirun.openmpi", 2, "own", 40, "--text")]
    [InlineData("mpirun.mpich", 2, "own", 8, "--hot", "1.5")]
    [InlineData("mpirun.mpich", 2, "slice", 40, "--text")]
    [InlineData("mpirun.openmpi", 4, "hybrid:2", 40, "--zipf", "1")]
    [InlineData("mpirun.openmpi", 3, "own", 3)]
    public void Figures_of_real_ranks_fit_each_other(string launcher, int ranks, string placement, int tokens, params string[] routing)
    {
        SlowTests.Require(placement == "slice" || ranks == 3);
        string picture = Path.GetTempFileName();
        string[] shape = routing is ["--text"] ? ["--text", s_text] : routing;
        var run = MpiRun.Of(launcher, (ranks, ["bench", "ep", "-m", TestPaths.Model, "--placement", placement, "--tokens", $"{tokens}", "--rounds", "2", "--virtual", "2,4", "--json", "--picture", picture, .. shape]));
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        var (root, real) = (json.RootElement, json.RootElement.GetProperty("real"));
        double p50 = Number(real, "p50Milliseconds");
        Assert.Equal(ranks, Number(real, "ranks"));
        Near(ranks * tokens / (p50 / 1e3), Number(real, "tokensPerSecond"));
        Assert.InRange(p50, 1e-9, Number(real, "p99Milliseconds"));
        Assert.Equal(Number(real, "rowBytesPerTokenTheory"), Number(real, "rowBytesPerToken"), 1e-6);
        Assert.Equal(Number(real, "sumBytesPerTokenTheory"), Number(real, "sumBytesPerToken"), 1e-6);
        Assert.Equal(placement == "slice", Number(real, "rowBytesPerToken") == 0);
        Assert.True(Number(real, "sumBytesPerToken") > 0);
        Assert.InRange(Number(real, "waitingShare"), 0, 1);
        Near(1 - Number(real, "exposedWaitMilliseconds") / Number(real, "pureExchangeMilliseconds"), Number(real, "hidden"));
        if (routing is ["--hot", var hot])
            Assert.Equal(1 / double.Parse(hot), Number(real, "balancedness"), 0.02);
        var lanes = root.GetProperty("medianLayer").EnumerateArray().ToArray();
        Assert.Equal(ranks, lanes.Length);
        foreach (var lane in lanes)
        {
            double end = 0;
            foreach (var segment in lane.GetProperty("segments").EnumerateArray())
            {
                Assert.Equal(end, Number(segment, "from"));
                end = Number(segment, "to");
            }

            Assert.Equal(Number(lane, "seconds"), end);
            Assert.Contains(lane.GetProperty("segments").EnumerateArray(), segment => segment.GetProperty("step").GetString() == "experts");
        }

        var counts = root.GetProperty("virtual").EnumerateArray().ToArray();
        Assert.Equal(new[] { ranks, 2, 4 }.Distinct(), counts.Select(count => count.GetProperty("ranks").GetInt32()));
        Assert.All(counts, count => Assert.True(Number(count, "virtualMilliseconds") >= Number(count, "computeMilliseconds") * 0.5 && Number(count, "oneProcessMilliseconds") > 0));
        double ratio = Number(root.GetProperty("prediction"), "ratio");
        Assert.Equal(Math.Abs(ratio - 1) <= 0.1, root.GetProperty("prediction").GetProperty("holds").GetBoolean());
        var svg = XDocument.Parse(File.ReadAllText(picture));
        Assert.Equal(Enumerable.Range(0, ranks).Select(rank => $"rank {rank}"), svg.Descendants().Select(e => e.Value).Where(text => text.StartsWith("rank ", StringComparison.Ordinal)));
        File.Delete(picture);
    }

    [Fact]
    public void It_starts_its_ranks_itself_and_shows_a_table()
    {
        var run = MpiRun.Own("bench", "ep", "-m", TestPaths.Model, "--tokens", "16", "--rounds", "1", "--ranks", "2", "--virtual", "2,64");
        Assert.True(run.Code == 0, run.Errors);
        // Open MPI gives ranks a terminal, where lines are broken.
        string output = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        foreach (string shown in new[] { "2 ranks, real", "2 ranks, virtual", "one process of", "64 ranks can't share 32 experts", "bytes a token", "hidden", "window to hide in", "virtual over real for 2 ranks", "timed alone" })
            Assert.Contains(shown, output);
    }

    [Fact]
    public void Virtual_ranks_need_no_others()
    {
        var run = CommandRun.Of("bench", "ep", "-m", TestPaths.Model, "--text", s_text, "--tokens", "16", "--rounds", "1", "--virtual", "2,4", "--latency", "50", "--bandwidth", "1000", "--json");
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("real").ValueKind);
        Assert.Equal((50.0, 1000.0, true), (Math.Round(Number(json.RootElement, "latencyMicroseconds"), 9), Number(json.RootElement, "megabitsPerSecond"), json.RootElement.GetProperty("linkCarriesMeanwhile").GetBoolean()));
        // At least there and back.
        Assert.All(json.RootElement.GetProperty("virtual").EnumerateArray(), count => Assert.True(Number(count, "virtualMilliseconds") > 0.1));
    }

    [Theory]
    [InlineData("give --ranks 2 or more, or for virtual ranks alone --latency and --bandwidth")]
    [InlineData("--latency and --bandwidth make a link together: give both", "--latency", "5")]
    [InlineData("--latency is 5 and --bandwidth 0, expected", "--latency", "5", "--bandwidth", "0")]
    [InlineData("--picture shows real ranks", "--latency", "5", "--bandwidth", "9", "--picture", "ep.svg")]
    [InlineData("--tokens is 0, expected at least 1", "--ranks", "2", "--tokens", "0")]
    [InlineData("--rounds is 0, expected at least 1", "--ranks", "2", "--rounds", "0")]
    [InlineData("--layers is 300, expected at most 256", "--ranks", "2", "--layers", "300")]
    [InlineData("--zipf is 5, expected 0 (all experts alike) to 4", "--ranks", "2", "--zipf", "5")]
    [InlineData("--placement is 'here', expected own, own:in-order, slice or hybrid:P", "--ranks", "2", "--placement", "here")]
    [InlineData("'1' in --virtual, expected whole numbers from 2", "--ranks", "2", "--virtual", "1")]
    [InlineData("no shape 'x', expected one of olmoe", "--ranks", "2", "--shape", "x")]
    [InlineData("100 layers of mixtral on 2 ranks and in one process needs", "--ranks", "2", "--shape", "mixtral", "--layers", "100")]
    [InlineData("can't be cut into 3 parts", "--ranks", "3", "--placement", "slice")]
    public void A_mistake_is_one_sentence(string sentence, params string[] arguments) =>
        Assert.Contains(sentence, CommandRun.Mistake(["bench", "ep", .. arguments]));

    [Fact]
    public void Models_and_texts_are_checked_before_ranks_start()
    {
        string[] ep = ["bench", "ep", "--ranks", "2", "-m", TestPaths.Model];
        Assert.Contains("leave one of them out", CommandRun.Mistake([.. ep, "--shape", "olmoe"]));
        Assert.Contains("leave --zipf and --hot out", CommandRun.Mistake([.. ep, "--text", s_text, "--hot", "2"]));
        Assert.Contains("but the model's context is", CommandRun.Mistake([.. ep, "--text", s_text, "--tokens", "1000000"]));
        Assert.Contains("--json stands before 'ep': put it after", CommandRun.Mistake("bench", "--json", "ep"));
    }

    private static double Number(JsonElement of, string name) => of.GetProperty(name).GetDouble();

    private static void Near(double expected, double value) => Assert.Equal(expected, value, Math.Abs(1e-9 * expected));
}

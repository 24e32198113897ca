using System.Text.Json;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Distributed;

/// <summary>The command line's balance: as ranks, and as one process that computes what they would.</summary>
public class BalanceTests
{
    // So that decisions don't follow a measurement.
    private static readonly string[] s_rates = ["--expert-rates", "1000,1,3,1000", "--knee", "8", "--marked-above", "0.3"];

    [Theory]
    [InlineData("drop", "--drop", "0.3")]
    [InlineData("both", "--t-major", "0.08", "--balance-rule", "paper")]
    public void Ranks_measure_what_one_process_measures_as_so_many(string mode, params string[] more)
    {
        using var folder = new TemporaryFolder();
        var (books, facts) = Texts(folder);
        string[] common = ["--text", books, facts, "--mark", books, "--mark-share", "0.6", "--context", "48", "--windows", "8", "--together", "2", "--placement", "own", "--balance", mode, .. s_rates, .. more, "--json"];
        var real = MpiRun.Own(["eval", TestPaths.Model, "--ranks", "2", .. common]);
        Assert.True(real.Code == 0, real.Errors);
        var alone = CommandRun.Of(["eval", TestPaths.Model, "--as-ranks", "2", .. common]);
        Assert.True(alone.Code == 0, alone.Errors);
        Assert.Equal(alone.Output, real.Output);
        Assert.Contains("a row depends on the others of its batch", real.Errors);
        using var json = JsonDocument.Parse(alone.Output);
        var balance = json.RootElement.GetProperty("balance");
        // Something was balanced: less is dropped than asked for, or some ranks have switched, and time is saved.
        Assert.True(balance.GetProperty("saved").GetDouble() > 0);
        Assert.Equal(mode != "drop", balance.GetProperty("switchedShare").GetDouble() > 0);
        var first = json.RootElement.GetProperty("texts").EnumerateObject().First().Value;
        Assert.True(first.GetProperty("kl").GetProperty("value").GetDouble() > 0);
    }

    [Fact]
    public void Less_is_dropped_than_every_rank_alike_would()
    {
        using var folder = new TemporaryFolder();
        var (books, facts) = Texts(folder);
        Assert.True(Dropped("makespan") < Dropped("all"));
        Assert.True(Dropped("paper") < Dropped("all"));

        double Dropped(string rule)
        {
            var run = CommandRun.Of(["eval", TestPaths.Model, "--as-ranks", "4", "--text", books, facts, "--context", "48", "--windows", "4", "--t-major", "0.1", "--balance", "drop", "--balance-rule", rule, .. s_rates, "--json"]);
            Assert.True(run.Code == 0, run.Errors);
            using var json = JsonDocument.Parse(run.Output);
            return json.RootElement.GetProperty("texts").EnumerateObject().First().Value.GetProperty("dropRate").GetDouble();
        }
    }

    [Theory]
    [InlineData("--balance is between ranks: give --ranks 2 or more", "eval", "--text", "x", "--balance", "drop")]
    [InlineData("--balance is 'some', expected none or drop or precision or both", "generate", "x", "--ranks", "2", "--balance", "some")]
    [InlineData("--balance-rule goes with --balance", "generate", "x", "--balance-rule", "paper")]
    [InlineData("--expert-rates is '1,2', expected four positive numbers: GB/s, GFLOP/s, GFLOP/s in the lower precision, GB/s converted", "generate", "x", "--ranks", "2", "--balance", "drop", "--expert-rates", "1,2")]
    [InlineData("--marked-above is 1, expected 0 to below 1", "generate", "x", "--ranks", "2", "--balance", "precision", "--marked-above", "1")]
    [InlineData("--knee is -1, expected at least 0", "generate", "x", "--ranks", "2", "--balance", "precision", "--knee", "-1")]
    [InlineData("--balance both switches from bf16 or f32 weights, found int8: leave --weights out", "generate", "x", "--ranks", "2", "--balance", "both", "--weights", "int8")]
    [InlineData("--together goes with --balance", "eval", "--text", "x", "--together", "2")]
    [InlineData("--mark names y, which is none of the texts of --text", "eval", "--text", "x", "--mark", "y")]
    [InlineData("--mark-share goes with --mark", "eval", "--text", "x", "--mark-share", "0.5")]
    [InlineData("--as-ranks is 1, expected 2 to 1024", "eval", "--text", "x", "--as-ranks", "1")]
    [InlineData("--as-ranks is one process: leave --ranks out", "eval", "--text", "x", "--as-ranks", "2", "--ranks", "2")]
    [InlineData("with slices every rank has as much to do: --balance needs --placement own or hybrid:P", "bench", "ep", "--latency", "1", "--bandwidth", "1000", "--balance", "drop", "--placement", "slice")]
    [InlineData("bench ep compares all rules: leave --balance-rule out", "bench", "ep", "--latency", "1", "--bandwidth", "1000", "--balance", "drop", "--balance-rule", "paper")]
    [InlineData("--marked goes with --balance", "bench", "ep", "--latency", "1", "--bandwidth", "1000", "--marked", "0.5")]
    public void Mistakes_are_one_sentence(string expected, params string[] arguments) =>
        Assert.Equal($"dualsparse: {expected}\n".TrimEnd(), CommandRun.Mistake([.. arguments, .. arguments[0] == "bench" ? Array.Empty<string>() : ["--model", TestPaths.Model]]));

    [Fact]
    public void Bench_ep_compares_rules_on_virtual_ranks_and_on_real_ones()
    {
        using var folder = new TemporaryFolder();
        string picture = folder.File("ranks.svg");
        string[] common = ["bench", "ep", "--model", TestPaths.Model, "--tokens", "96", "--hot", "1.4", "--rounds", "2", "--layers", "1", "--virtual", "2", "--balance", "both", "--balance-picture", picture, "--json", .. s_rates];
        Check(CommandRun.Of([.. common, "--latency", "10", "--bandwidth", "1000"]) is { Code: 0 } alone ? alone.Output : throw new InvalidOperationException("bench ep failed"), 1);
        Assert.StartsWith("<svg", File.ReadAllText(picture));
        var real = MpiRun.Own([.. common, "--ranks", "2"]);
        Assert.True(real.Code == 0, real.Errors);
        Check(real.Output, 2);

        static void Check(string output, int kinds)
        {
            using var json = JsonDocument.Parse(output);
            var figures = json.RootElement.GetProperty("figures").EnumerateArray().ToArray();
            Assert.Equal(9 * kinds, figures.Length);
            foreach (var of in figures.Chunk(9))
            {
                double Figure(string variant, string name) => of.Single(f => f.GetProperty("variant").GetString() == variant).GetProperty(name).GetDouble();
                Assert.Equal(0, Figure("none", "dropped"));
                Assert.True(Figure("drop, makespan", "dropped") <= Figure("drop, every rank", "dropped"));
                Assert.InRange(Figure("drop, every rank", "dropped"), 0.2, 0.3);
                Assert.Equal(1, Figure("precision, every rank", "switched"));
                Assert.InRange(Figure("precision, makespan", "switched"), 0.4, 0.9);
                Assert.Equal(Figure("precision, makespan", "switched"), Figure("the same, converted before", "switched"));
                Assert.Equal(0, Figure("the same, converted before", "convertMilliseconds"));
            }
        }
    }

    // Two texts of different words.
    private static (string, string) Texts(TemporaryFolder folder)
    {
        string books = folder.File("books.txt"), facts = folder.File("facts.txt");
        File.WriteAllText(books, string.Concat(Enumerable.Range(0, 120).Select(i => $"She said to her sister, on the {i}th day of that long summer, that she was very glad of it. ")));
        File.WriteAllText(facts, string.Concat(Enumerable.Range(0, 120).Select(i => $"Function f{i}(x, y) returns {i * 7 % 13} bytes; see the manual of the parser, section {i}. ")));
        return (books, facts);
    }
}

using System.Text.Json;
using System.Xml.Linq;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Benchmarking.Serving;

/// <summary><c>bench serve</c> as it is typed.</summary>
public class BenchServeTests
{
    [Fact]
    public void Loads_are_rows_requests_are_lines_and_a_picture_shows_both()
    {
        using var server = new FakeServer(request => request == 3 ? FakeAnswer.Busy : FakeAnswer.Whole);
        using var folder = new TemporaryFolder();
        string[] common = ["bench", "serve", "--url", $"{server.Url}/v1", "--concurrency", "1,2", "--requests", "4", "--prompt-tokens", "10", "--output-tokens", "3"];
        var run = CommandRun.Of([.. common, "--csv", folder.File("x.csv"), "--svg", folder.File("x.svg"), "--json"]);
        Assert.True(run.Code == 0, run.Errors);
        var report = JsonDocument.Parse(run.Output).RootElement;
        Assert.Equal("fake", report.GetProperty("model").GetString());
        var results = report.GetProperty("report").GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(["1 at once", "2 at once"], results.Select(r => r.GetProperty("load").GetString()));
        // The first two requests are the warm-up's.
        Assert.Equal(3, results[0].GetProperty("answered").GetInt32());
        Assert.Equal(1, results[0].GetProperty("errors").GetProperty("429 queue_full").GetInt32());
        string[] lines = File.ReadAllLines(folder.File("x.csv"));
        Assert.Equal(9, lines.Length);
        Assert.All(lines, line => Assert.Equal(9, line.Count(c => c == ',')));
        Assert.Single(lines, line => line.EndsWith(",429 queue_full", StringComparison.Ordinal));
        string[] texts = [.. XDocument.Load(folder.File("x.svg")).Descendants().Where(e => e.Name.LocalName == "text").Select(e => e.Value)];
        Assert.Contains("time to the first token, ms", texts);
        Assert.Contains("p99", texts);

        var table = CommandRun.Of(common);
        Assert.Contains("| 2 at once | 4 of 4", table.Output);
    }

    [Fact]
    public void A_long_prompt_is_a_table_and_a_picture_of_its_own()
    {
        using var server = new FakeServer(delay: 2);
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of("bench", "serve", "--url", server.Url, "--concurrency", "2", "--long-prompt", "100", "--output-tokens", "100000", "--svg", folder.File("x.svg"));
        Assert.True(run.Code == 0, run.Errors);
        Assert.Contains("before the long prompt", run.Output);
        Assert.Contains("2 streams, a prompt of 100 tokens", run.Output);
        Assert.Contains("seconds since the long prompt", File.ReadAllText(folder.File("x.svg")));
    }

    [Fact]
    public void Without_an_address_it_starts_a_server_of_its_own()
    {
        var run = CommandRun.Of("bench", "serve", TestPaths.Model, "--rate", "20", "--requests", "5", "--prompt-tokens", "40", "--output-tokens", "6", "--shared-prefix", "20", "--drop", "0.25", "--json");
        Assert.True(run.Code == 0, run.Errors);
        var report = JsonDocument.Parse(run.Output).RootElement;
        var result = Assert.Single(report.GetProperty("report").GetProperty("results").EnumerateArray());
        Assert.Equal(
            (true, true, 5, 40, 6),
            (report.GetProperty("ownServer").GetBoolean(), report.GetProperty("lengthsInTokens").GetBoolean(), result.GetProperty("answered").GetInt32(), result.GetProperty("promptTokens").GetInt32(), result.GetProperty("outputTokens").GetInt32()));
        Assert.Equal(0.25, report.GetProperty("fields").GetProperty("drop").GetDouble());
    }

    [Fact]
    public void A_server_that_does_not_start_is_told_by_its_own_words()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), "{}");
        Assert.Contains("the server ended before it served: dualsparse: ", CommandRun.Mistake("bench", "serve", folder.Path));
    }

    [Fact]
    public void A_server_that_refuses_the_first_request_is_said_to()
    {
        using var server = new FakeServer(_ => FakeAnswer.Busy);
        Assert.Contains("with '429 queue_full'", CommandRun.Mistake("bench", "serve", "--url", server.Url));
    }

    [Theory]
    [InlineData("--rate 1 --concurrency 2", "two ways to load")]
    [InlineData("--rate 0", "--rate, expected positive")]
    [InlineData("--concurrency 1.5", "whole numbers")]
    [InlineData("--prompt-tokens 8 --shared-prefix 8", "0 to below the prompt's 8 tokens")]
    [InlineData("--long-prompt 9 --concurrency 1,2", "one number of streams")]
    [InlineData("--drop 0.1 --max-kl 1", "two ways to say one thing")]
    [InlineData("--url 127.0.0.1:80", "expected an address such as")]
    [InlineData("--url http://127.0.0.1:9 --seconds 1", "can't be reached")]
    [InlineData("--url http://127.0.0.1:9 x", "name two servers")]
    public void What_makes_no_sense_is_one_sentence(string arguments, string sentence) =>
        Assert.Contains(sentence, CommandRun.Mistake(["bench", "serve", .. arguments.Split(' ')]));
}

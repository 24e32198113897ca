using System.Text.Json;

namespace DualSparse.Tests.Cli;

/// <summary><c>dualsparse eval --sweep</c>.</summary>
public class EvalSweepCommandTests
{
    [Fact]
    public void Json_and_picture_hold_every_method()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("rome.txt"), string.Concat(Enumerable.Range(0, 90).Select(i => $"The city of Rome has {i} gates.\n")));
        string[] arguments = ["eval", "--sweep", "--text", folder.File("rome.txt"), "--context", "128", "--windows", "4", "--methods", "2t,random,top-k", "--seeds", "1", "--rates", "0.25"];
        var run = CommandRun.Of([.. arguments, "--json", "--picture", folder.File("sweep.svg")]);
        Assert.Equal((0, ""), (run.Code, run.Errors));
        using var json = JsonDocument.Parse(run.Output);
        var points = json.RootElement.GetProperty("sweep").EnumerateArray().ToArray();
        Assert.Equal(["2t", "random-1", "top-k"], points.Select(p => p.GetProperty("method").GetString()).Order());
        Assert.All(points, p => Assert.InRange(p.GetProperty("dropRate").GetDouble(), 0.24, 0.26));
        Assert.All(points, p => Assert.True(p.GetProperty("kl").GetProperty("low").GetDouble() > 0));
        Assert.All(points, p => Assert.True(p.GetProperty("speed").GetProperty("value").GetDouble() > 0));
        Assert.Contains(json.RootElement.GetProperty("links").EnumerateArray(), l => l.GetProperty("method").GetString() == "top-k");
        Assert.StartsWith("<svg", File.ReadAllText(folder.File("sweep.svg")));

        var table = CommandRun.Of(arguments);
        Assert.Equal((0, ""), (table.Code, table.Errors));
        Assert.Contains("over KL of", table.Output);
    }

    [Theory]
    [InlineData("--rates goes with --sweep", "--rates", "0.3")]
    [InlineData("--drop has no meaning beside it", "--sweep", "--drop", "0.3")]
    [InlineData("there is nothing to measure on", "--sweep")]
    [InlineData("stored needs --original", "--sweep", "--methods", "stored")]
    [InlineData("there is no method 'search' for this model, expected some of 1t, 2t, random", "--sweep", "--methods", "search")]
    [InlineData("the drop rates are 2, expected", "--sweep", "--rates", "2")]
    [InlineData("--rates has 'x'", "--sweep", "--rates", "x")]
    public void A_mistake_is_one_sentence(string sentence, params string[] arguments)
    {
        string[] text = arguments is ["--sweep"] ? [] : ["--ids", TestPaths.Golden("eval", "windows.safetensors"), "--windows", "1"];
        Assert.Contains(sentence, CommandRun.Mistake(["eval", .. arguments, .. text]));
    }
}

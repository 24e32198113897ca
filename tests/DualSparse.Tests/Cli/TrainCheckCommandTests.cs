using System.Text.Json;

namespace DualSparse.Tests.Cli;

/// <summary><c>train MODEL --check FILE</c> as the command line shows it.</summary>
public class TrainCheckCommandTests
{
    private static string Golden => TestPaths.Golden("scmoe", "top2", "golden.safetensors");

    [Fact]
    public void A_table_of_the_worst_and_a_line_for_each_kind()
    {
        var run = CommandRun.Of("train", TestPaths.Golden("scmoe", "top2"), "--check", Golden, "--threads", "2");
        Assert.Equal((0, ""), (run.Code, run.Errors));
        foreach (string line in new[] { "logits: 1 of 1 agree", "losses: 3 of 3 agree", "losses before steps of AdamW: 10 of 10 agree", "\nagrees\n", "not in the file, so not compared: values after steps of AdamW of 30 of " })
            Assert.Contains(line, run.Output);
    }

    [Fact]
    public void Json_has_every_tensor_and_another_models_file_differs()
    {
        var run = CommandRun.Of("train", TestPaths.Golden("scmoe", "shared_expert"), "--check", Golden, "--json");
        Assert.Equal(1, run.Code);
        using var json = JsonDocument.Parse(run.Output);
        Assert.False(json.RootElement.GetProperty("agrees").GetBoolean());
        var compared = json.RootElement.GetProperty("compared").EnumerateArray().ToArray();
        Assert.Contains(compared, tensor => tensor.GetProperty("name").GetString() == "logits" && !tensor.GetProperty("agrees").GetBoolean());
        Assert.Contains("gradients of 6 of ", json.RootElement.GetProperty("missing").ToString());
    }

    [Theory]
    [InlineData("there is no such file", "train", "GOLDEN", "--check", "nowhere.safetensors")]
    [InlineData("name it by --init", "train", "GOLDEN")]
    public void Mistakes_are_told(string expected, params string[] arguments) =>
        Assert.Contains(expected, CommandRun.Mistake([.. arguments.Select(a => a == "GOLDEN" ? TestPaths.Golden("scmoe", "top2") : a)]));
}

using System.Text.Json;

namespace DualSparse.Tests.Cli;

/// <summary><c>dualsparse eval --tasks</c>.</summary>
public class EvalTasksCommandTests
{
    [Fact]
    public void Json_has_tasks_by_name_and_under_a_drop_their_changes()
    {
        using var folder = Data();
        string[] arguments = ["eval", "--tasks", "lambada,sciq", "--data", folder.File(""), "--limit", "2", "--json"];
        using var dense = Json(arguments);
        var sciq = dense.RootElement.GetProperty("tasks").GetProperty("sciq");
        Assert.Equal(2, sciq.GetProperty("n").GetInt32());
        Assert.Equal(JsonValueKind.Null, sciq.GetProperty("deltaAcc").ValueKind);
        Assert.Equal(JsonValueKind.Null, dense.RootElement.GetProperty("tasks").GetProperty("lambada").GetProperty("accNorm").ValueKind);

        using var dropped = Json([.. arguments, "--t-major", "0.07", "--t-minor", "0.09"]);
        var changed = dropped.RootElement.GetProperty("tasks").GetProperty("sciq");
        Assert.Equal(sciq.GetProperty("acc").GetDouble(), changed.GetProperty("denseAcc").GetDouble());
        Assert.Equal(
            changed.GetProperty("acc").GetDouble() - changed.GetProperty("denseAcc").GetDouble(),
            changed.GetProperty("deltaAcc").GetProperty("value").GetDouble(), 1e-12);
        Assert.InRange(changed.GetProperty("dropRate").GetDouble(), 0.1, 0.6);
        Assert.InRange(changed.GetProperty("rightToWrong").GetInt32(), 0, 2);
    }

    [Fact]
    public void Texts_and_tasks_give_a_table_each()
    {
        using var folder = Data();
        File.WriteAllText(folder.File("rome.txt"), string.Concat(Enumerable.Range(0, 60).Select(i => $"The city of Rome has {i} gates.\n")));
        var run = CommandRun.Of(
            ["eval", "--text", folder.File("rome.txt"), "--context", "64", "--windows", "1", "--tasks", "sciq", "--data", folder.File(""), "--t-major", "0.08"]);
        Assert.Equal((0, ""), (run.Code, run.Errors));
        Assert.Contains("perplexity", run.Output);
        Assert.Contains("right → wrong", run.Output);
    }

    [Theory]
    [InlineData("--tasks needs --data", "--tasks", "sciq")]
    [InlineData("there is no task 'sciqq', expected all or some of lambada", "--tasks", "sciqq", "--data", ".")]
    [InlineData("nowhere: there is no such folder", "--tasks", "all", "--data", "nowhere")]
    [InlineData("the limit is 0 rows, expected at least 1", "--tasks", "all", "--data", ".", "--limit", "0")]
    [InlineData("--data and --limit go with --tasks", "--ids", "x.safetensors", "--limit", "3")]
    public void A_mistake_is_one_sentence(string sentence, params string[] arguments)
    {
        Assert.Contains(sentence, CommandRun.Mistake(["eval", .. arguments]));
    }

    private static TemporaryFolder Data()
    {
        var folder = new TemporaryFolder();
        File.WriteAllLines(folder.File("lambada.jsonl"), ["""{"context": "She saw the", "target": "dog"}""", """{"context": "He saw the", "target": "cat"}"""]);
        File.WriteAllLines(folder.File("sciq.jsonl"), Enumerable.Range(0, 3).Select(i => $$"""{"query": "What is {{i}}?", "choices": ["one", "two"], "gold": 0}"""));
        return folder;
    }

    private static JsonDocument Json(string[] arguments)
    {
        var run = CommandRun.Of(arguments);
        Assert.Equal((0, ""), (run.Code, run.Errors));
        return JsonDocument.Parse(run.Output);
    }
}

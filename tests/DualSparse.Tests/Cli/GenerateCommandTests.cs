using System.Text.Json;
using DualSparse.Tests.Engine.Serving;

namespace DualSparse.Tests.Cli;

/// <summary>What <c>generate</c> says of why a text ended, of tokens, and where it takes its text from.</summary>
public class GenerateCommandTests
{
    [Theory]
    [InlineData("<|im_end|>", "ok")]
    [InlineData("k<|im_end|>", "o")]
    [InlineData("<|im_end|>z", "ok")]
    [InlineData("zy", "ok")]
    [InlineData("never", "okzy")]
    public void A_stop_text_is_looked_for_in_all_that_the_model_wrote(string stop, string text)
    {
        using var model = new TableModel(TableModel.Chain("?", "o", "k", "<|im_end|>", "z", "y", "</s>"));
        var run = Generate(model, "?", "-n", "20", "--stop", stop);
        Assert.Equal(text + "\n", run.Output);
        Assert.Contains(stop == "never" ? "ended: closing token </s>" : $"ended: stop text \"{stop}\"", run.Errors);

        File.WriteAllText(model.In("generation_config.json"), JsonSerializer.Serialize(new { stop_strings = new[] { stop } }));
        Assert.Equal(text + "\n", Generate(model, "?", "-n", "20").Output);
    }

    [Fact]
    public void A_context_that_is_full_is_told()
    {
        using var model = new TableModel(TableModel.Chain("a", "b", "c"), ("max_position_embeddings", 64));
        var run = Generate(model, new string('a', 64), "-n", "5");
        Assert.Equal((0, "\n"), (run.Code, run.Output));
        Assert.StartsWith("prompt 64 tokens, – tokens/s · generation 0 tokens, – tokens/s, ended: context of 64 tokens full", run.Errors);
        Assert.Contains("generation 4 tokens", Generate(model, new string('a', 60), "-n", "100").Errors);
        Assert.Contains("ended: context of 64 tokens full", Generate(model, new string('a', 60), "-n", "100").Errors);
        Assert.Contains("ended: -n 4 reached", Generate(model, new string('a', 60), "-n", "4").Errors);
        Assert.Contains("ended: -n 0 reached", Generate(model, "a", "-n", "0").Errors);
    }

    [Fact]
    public void Json_has_text_reason_and_tokens()
    {
        using var model = new TableModel(new Dictionary<int, int> { ['?'] = ' ', [' '] = 0xF0, [0xF0] = 'x', ['x'] = TableModel.Id("</s>") });
        var run = Generate(model, "?", "--json", "--logprobs", "1");
        Assert.Equal((0, ""), (run.Code, run.Errors));
        using var json = JsonDocument.Parse(run.Output);
        var root = json.RootElement;
        Assert.Equal(" \uFFFDx", root.GetProperty("text").GetString());
        Assert.Equal(("endOfText", "closing token </s>"), (root.GetProperty("finish").GetString(), root.GetProperty("reason").GetString()));
        Assert.Equal((1, 4, 5), (root.GetProperty("promptTokens").GetInt32(), root.GetProperty("generatedTokens").GetInt32(), root.GetProperty("contextTokens").GetInt32()));
        var tokens = root.GetProperty("tokens").EnumerateArray().ToArray();
        Assert.Equal([" ", "\uFFFD", "x", "</s>"], tokens.Select(t => t.GetProperty("text").GetString()));
        Assert.Equal([0xF0], tokens[1].GetProperty("bytes").EnumerateArray().Select(b => b.GetInt32()));
        Assert.Equal([0xF0], tokens[1].GetProperty("alternatives")[0].GetProperty("bytes").EnumerateArray().Select(b => b.GetInt32()));
    }

    [Fact]
    public void A_lines_token_is_its_own_text_or_its_bytes()
    {
        using var model = new TableModel(new Dictionary<int, int> { ['?'] = ' ', [' '] = 0xF0, [0xF0] = '"', ['"'] = '\\', ['\\'] = '\n', ['\n'] = TableModel.Id("</s>") });
        string[] lines = Generate(model, "?", "--logprobs", "0").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["32\t0.0000\t\" \"", "240\t0.0000\t\"\\xF0\"", "34\t0.0000\t\"\\\"\"", "92\t0.0000\t\"\\\\\"", "10\t0.0000\t\"\\n\"", "257\t0.0000\t\"</s>\""], lines);
    }

    [Fact]
    public void A_prompt_may_come_from_a_file_whose_last_line_end_is_none_of_it()
    {
        using var model = new TableModel(TableModel.Chain("?", "!", "</s>"));
        File.WriteAllText(model.In("prompt.txt"), "a?\n");
        Assert.Equal("!\n", Generate(model, "-f", model.In("prompt.txt")).Output);
        Assert.StartsWith("prompt 2 tokens", Generate(model, "-f", model.In("prompt.txt")).Errors);
        File.WriteAllText(model.In("prompt.txt"), "a?\n\r\n");
        Assert.StartsWith("prompt 3 tokens", Generate(model, "-f", model.In("prompt.txt")).Errors);
        Assert.Contains("two ways to say one thing", CommandRun.Mistake("generate", "x", "-f", model.In("prompt.txt")));
        Assert.Contains("give a text, - for standard input, or -f FILE", CommandRun.Mistake("generate"));
    }

    private static CommandRun Generate(TableModel model, params string[] arguments) =>
        CommandRun.Of(["generate", .. arguments, "-m", model.Path, "--temperature", "0", "--weights", "F32"]);
}

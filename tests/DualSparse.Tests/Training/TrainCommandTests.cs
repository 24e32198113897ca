using System.Text.Json;
using System.Xml.Linq;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Training;

/// <summary><c>dualsparse train</c>: what it writes, says and refuses.</summary>
public sealed class TrainCommandTests : IDisposable
{
    private readonly TinyRun run = new();

    private string Output => run.At("out");

    [Fact]
    public void The_sample_that_ships_gives_a_model_that_generates()
    {
        var trained = CommandRun.Of(
            "train", "--config", TestPaths.InRepository("data", "train", "config.json"), "--tokenizer", TestPaths.Model, "--text",
            TestPaths.InRepository("data", "calibration", "calibration.txt"), "-o", Output, "--steps", "4", "--batch-tokens", "512", "--context", "64", "--validate-every", "2");
        Assert.Equal(0, trained.Code);
        Assert.Contains($"{Output}: 4 steps, 2048 tokens, loss ", trained.Output);
        Assert.Contains("step 4/4 · loss ", trained.Errors);
        Assert.Contains("of the kernel's rate", trained.Errors);
        Assert.Equal(0, CommandRun.Of("generate", "Once upon a time", "-m", Output, "-n", "4", "--temperature", "0").Code);

        string training = Path.Combine(Output, "training");
        string[] rows = File.ReadAllLines(Path.Combine(training, "curve.csv"));
        Assert.Equal(["step,tokens,loss,balance,router_z,gradient_norm,learning_rate,held_out,seconds", "4,2048,"], [rows[0], rows[4][..7]]);
        Assert.Equal(["", "held", "", "held"], rows[1..].Select(row => row.Split(',')[7].Length > 0 ? "held" : ""));
        var svg = XDocument.Load(Path.Combine(training, "curve.svg")).Root!;
        Assert.Contains("cross-entropy, nats a token", svg.Value);
        Assert.True(svg.Descendants().Count(e => e.Name.LocalName == "circle") >= 4 * 3 + 2);
    }

    [Fact]
    public void Results_are_json_and_an_ended_run_is_resumed_in_peace()
    {
        var run1 = CommandRun.Of([.. New, "--steps", "3", "--json"]);
        Assert.Equal(0, run1.Code);
        var json = JsonDocument.Parse(run1.Output).RootElement;
        Assert.Equal((3, 384, 0.02), (json.GetProperty("steps").GetInt32(), json.GetProperty("tokens").GetInt32(), json.GetProperty("options").GetProperty("balance").GetDouble()));
        Assert.True(json.GetProperty("tokensPerSecond").GetDouble() > 0);
        Assert.InRange(json.GetProperty("shareOfKernelRate").GetDouble(), 1e-9, 1.5);
        Assert.InRange(json.GetProperty("heldOutLoss").GetDouble(), 6, 9);
        var again = CommandRun.Of("train", "--resume", Output);
        Assert.Equal(0, again.Code);
        Assert.Contains("3 steps, 384 tokens", again.Output);
    }

    [Fact]
    public void Mistakes_are_one_sentence()
    {
        string folder = run.At("full");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "x"), "");
        File.WriteAllText(run.At("empty.txt"), "\n<|endoftext|>\n");
        File.WriteAllText(run.At("short.txt"), "Once upon a time.");
        string config = File.ReadAllText(run.Config);
        File.WriteAllText(run.At("narrow.json"), config.Replace("4096", "4095", StringComparison.Ordinal));
        File.WriteAllText(run.At("wide.json"), config.Replace("\"num_experts_per_tok\":2", "\"num_experts_per_tok\":5", StringComparison.Ordinal));

        Assert.Contains("is not empty", CommandRun.Mistake("train", "--config", run.Config, "--tokenizer", TestPaths.Model, "--text", run.Text, "-o", folder));
        Assert.Contains("the tokenizer has 4096 ids, more than the 4095 of 'vocab_size'", CommandRun.Mistake(With(run.At("narrow.json"), run.Text)));
        Assert.Contains("5 experts a token, but there are only 4", CommandRun.Mistake(With(run.At("wide.json"), run.Text)));
        Assert.Contains("the text has no tokens", CommandRun.Mistake(With(run.Config, run.At("empty.txt"))));
        Assert.Contains("too few for a window of 32 and the one after it", CommandRun.Mistake(With(run.Config, run.At("short.txt"))));
        Assert.Contains("no such file", CommandRun.Mistake(With(run.Config, run.At("none.txt"))));
        Assert.Contains("no such file", CommandRun.Mistake(With(run.At("none.json"), run.Text)));
        Assert.Contains("the context is 1, expected at least 2", CommandRun.Mistake([.. New[..^4], "--context", "1"]));
        Assert.Contains("the context is 65, expected at most the model's 64", CommandRun.Mistake([.. New[..^4], "--context", "65"]));
        Assert.Contains("the batch is 100, expected a multiple of the context, 32 tokens, such as 96", CommandRun.Mistake([.. New[..^2], "--batch-tokens", "100"]));
        Assert.Contains("a divisor of the batch's 4 windows", CommandRun.Mistake([.. New, "--accumulate", "3"]));
        Assert.Contains("give one of them", CommandRun.Mistake([.. New, "--steps", "3", "--epochs", "1"]));
        Assert.Contains("the learning rate is NaN", CommandRun.Mistake([.. New, "--learning-rate", "NaN"]));
        Assert.Contains("--decay is 'fast', expected cosine, linear or constant", CommandRun.Mistake([.. New, "--decay", "fast"]));
        Assert.Contains("there is nothing to train", CommandRun.Mistake("train", "--text", run.Text, "-o", Output));
        Assert.Contains("--config and --init are two ways", CommandRun.Mistake([.. New, "--init", TestPaths.Model]));
        Assert.Contains("--tokenizer is missing", CommandRun.Mistake("train", "--config", run.Config, "--text", run.Text, "-o", Output));
        Assert.Contains("--text is missing", CommandRun.Mistake("train", "--init", TestPaths.Model, "-o", Output));
        Assert.Contains("--output is missing", CommandRun.Mistake("train", "--init", TestPaths.Model, "--text", run.Text));
        Assert.Contains("--steps can't be given with --resume", CommandRun.Mistake("train", "--resume", Output, "--steps", "3"));
        Assert.Contains("no training run to resume", CommandRun.Mistake("train", "--resume", folder));
        Assert.Contains("no training run to resume", CommandRun.Mistake("train", "--resume", run.At("nowhere")));
        Assert.False(Directory.Exists(Output));
    }

    public void Dispose() => run.Dispose();

    private string[] New => [.. With(run.Config, run.Text)];

    private string[] With(string config, string text) =>
        ["train", "--config", config, "--tokenizer", TestPaths.Model, "--text", text, "-o", Output, "--validation-share", "0.05", "--context", "32", "--batch-tokens", "128"];
}

using System.Text.Json;
using DualSparse.Models.Safetensors;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Engine.Vision;
using DualSparse.Tests.Models.Pictures;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary><c>dualsparse train</c> on lines with pictures: a model that tells colours apart, its checkpoint, and what is refused.</summary>
public sealed class PictureTrainingTests : IDisposable
{
    private readonly TemporaryFolder model = PictureModel.Write(), folder = new();

    public PictureTrainingTests()
    {
        // A line's picture is in it, or in a file beside.
        File.WriteAllBytes(folder.File("red.png"), Picture(255, 0, 0));
        File.WriteAllLines(Lines, Enumerable.Range(0, 40).Select(i => Line(i % 2 == 0 ? i == 0 ? "red.png" : Address(250 - i, 0, 0) : Address(0, 0, 250 - i), i % 2 == 0 ? "r" : "b")));
    }

    private string Lines => folder.File("pictures.jsonl");

    private string[] New => ["train", "--config", model.File("config.json"), "--tokenizer", model.Path, "--text", Lines, "-o", folder.File("out"), "--context", "64", "--batch-tokens", "512"];

    [Fact]
    public void A_model_learns_what_pictures_show()
    {
        var run = CommandRun.Of([.. New, "--steps", "40", "--learning-rate", "0.01", "--warm-up", "4", "--validation-share", "0", "--weights", "f32"]);
        Assert.Equal(0, run.Code);
        Assert.Equal("b", Answer(PictureModelFile("blue.png", 0, 0, 240)));
        Assert.Equal("r", Answer(PictureModelFile("red2.png", 240, 0, 0)));
        // All of a layer's experts in two tensors, as the family is released.
        using var checkpoint = Checkpoint.Open(folder.File("out"));
        Assert.Equal([16, 64, 96], checkpoint.Get("model.language_model.layers.0.mlp.experts.gate_up_proj").Shape);
        Assert.True(File.Exists(Path.Combine(folder.File("out"), "preprocessor_config.json")));
        // Trained further, it begins with what it knows.
        var more = CommandRun.Of("train", "--init", folder.File("out"), "--text", Lines, "-o", folder.File("more"), "--context", "64", "--batch-tokens", "512", "--steps", "1", "--validation-share", "0", "--json");
        Assert.Equal(0, more.Code);
        Assert.InRange(JsonDocument.Parse(more.Output).RootElement.GetProperty("loss").GetDouble(), 0, 0.1);
    }

    [Fact]
    public void A_resumed_run_is_the_same_to_the_bit_and_knows_its_pictures()
    {
        var options = new TrainingOptions { Context = 64, BatchTokens = 256, Steps = 6, WarmUpSteps = 2, Threads = 2, Seed = 7, ValidationSteps = 3, ValidationShare = 0.2 };
        using (var whole = Start("whole", options))
        {
            TinyRun.Run(whole);
            whole.Finish();
        }

        using (var first = Start("parts", options with { Threads = 1 }))
        {
            TinyRun.Run(first, 4);
            first.Save();
        }

        using (var rest = Trainer.Resume(folder.File("parts"), 1))
        {
            TinyRun.Run(rest);
            rest.Finish();
        }

        Assert.Equal(TinyRun.Left("whole", folder.Path), TinyRun.Left("parts", folder.Path));
        File.WriteAllBytes(folder.File("red.png"), Picture(254, 0, 0));
        Assert.Contains("not the text that the run was begun with", CommandRun.Mistake("train", "--resume", folder.File("parts")));
    }

    [Fact]
    public void Mistakes_are_one_sentence()
    {
        Assert.Contains("line 1 has 17 tokens, expected at most 16, those of a window", CommandRun.Mistake([.. New[..^4], "--context", "16"]));
        Assert.Contains("a run reads one or the other", CommandRun.Mistake([.. New[..7], TestPaths.InRepository("data", "calibration", "calibration.txt"), .. New[7..]]));
        Assert.Contains("reads text only", CommandRun.Mistake(["train", "--init", TestPaths.Model, .. New[5..]]));
        Assert.Contains("line 1: 'images[0]'", Wrong("""{"images":["none.png"],"turns":[{"prompt":"a","answer":"b"}]}"""));
        Assert.Contains("is an address on the web", Wrong("""{"images":["https://example.org/a.png"],"turns":[{"prompt":"a","answer":"b"}]}"""));
        Assert.Contains("no answer to learn", Wrong("""{"images":["red.png"],"turns":[]}"""));
        Assert.Contains("'turns' is missing", Wrong("""{"images":["red.png"]}"""));
        Assert.Contains("'turns[0].answer' is 3, expected a string", Wrong("""{"images":["red.png"],"turns":[{"prompt":"a","answer":3}]}"""));
        Assert.Contains("there is no line", Wrong("\n"));
        Assert.Contains("not valid JSON", Wrong("{"));
    }

    public void Dispose()
    {
        model.Dispose();
        folder.Dispose();
    }

    private Trainer Start(string output, TrainingOptions options) => Trainer.Start(model.File("config.json"), model.Path, [Lines], folder.File(output), options);

    private string Wrong(string lines)
    {
        File.WriteAllText(folder.File("wrong.jsonl"), lines);
        return CommandRun.Mistake([.. New[..6], folder.File("wrong.jsonl"), .. New[7..]]);
    }

    private string PictureModelFile(string name, byte red, byte green, byte blue)
    {
        File.WriteAllBytes(folder.File(name), Picture(red, green, blue));
        return folder.File(name);
    }

    private string Answer(string picture) => CommandRun.Of("generate", "It is ", "-m", folder.File("out"), "--image", picture, "-n", "1", "--temperature", "0").Output.Trim();

    private static string Line(string image, string answer) => JsonSerializer.Serialize(new { images = new[] { image }, turns = new[] { new { prompt = "It is ", answer } } });

    private static string Address(int red, int green, int blue) => $"data:image/png;base64,{Convert.ToBase64String(Picture((byte)red, (byte)green, (byte)blue))}";

    // One colour, 32 × 16 pixels: eight tokens, of which the model reads as many at least.
    private static byte[] Picture(byte red, byte green, byte blue) =>
        TestPng.Write(32, 16, 8, 2, [.. Enumerable.Repeat<byte[]>([0, .. Enumerable.Repeat<byte[]>([red, green, blue], 32).SelectMany(pixel => pixel)], 16).SelectMany(row => row)]);
}

using System.Text.Json;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Tests.Training;

namespace DualSparse.Tests.Cli;

/// <summary><c>dualsparse convert</c>: another wiring, and learning one's own predictions in it.</summary>
public sealed class ConvertCommandTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Text
    {
        get
        {
            File.WriteAllText(folder.File("text.txt"), TinyRun.SampleText[..60_000]);
            return folder.File("text.txt");
        }
    }

    [Fact]
    public void A_rewired_checkpoint_has_the_same_tensors_where_only_readers_of_the_wiring_look()
    {
        string to = folder.File("rewired");
        Assert.Contains("not taught yet", CommandRun.Of("convert", TestPaths.Model, "--wiring", "farskip", "-o", to).Output);
        Assert.False(File.Exists(Path.Combine(to, "model.safetensors")));
        using (var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(to, "config.json"))))
            Assert.Equal(("olmoe", "farskip"), (config.RootElement.GetProperty("model_type").GetString(), config.RootElement.GetProperty("wiring").GetString()));
        using Checkpoint before = Checkpoint.Open(TestPaths.Model), after = Checkpoint.Open(to);
        Assert.Equal(Wiring.FarSkip, after.Config.Wiring);
        Assert.All(before.Config.Tensors.All(), tensor => Assert.Equal(before.Get(tensor).ReadFloats(), after.Get(tensor).ReadFloats()));

        Assert.Contains("has the wiring farskip already", CommandRun.Mistake("convert", to, "--wiring", "farskip", "-o", folder.File("again")));
        // Without the field the folder has no weights.
        string fields = File.ReadAllText(Path.Combine(to, "config.json"));
        File.WriteAllText(Path.Combine(to, "config.json"), fields.Replace("\"wiring\": \"farskip\"", "\"use_cache\": true", StringComparison.Ordinal));
        Assert.Throws<ModelFormatException>(() => Checkpoint.Open(to).Dispose());
    }

    [Fact]
    public void Its_own_predictions_are_learned_again()
    {
        string to = folder.File("taught"), rewired = folder.File("rewired");
        CommandRun.Of("convert", TestPaths.Model, "--wiring", "farskip", "-o", rewired);
        string said = CommandRun.Of(
            "convert", TestPaths.Model, "--wiring", "farskip", "-o", to, "--text", Text, "--steps", "12", "--context", "64", "--batch-tokens", "512", "--learning-rate", "1e-3", "--validate-every", "0", "--json").Output;
        using var run = JsonDocument.Parse(said);
        Assert.Equal(12, run.RootElement.GetProperty("steps").GetInt32());
        Assert.InRange(Loss(to), 0, Loss(rewired) - 0.2);

        double Loss(string model)
        {
            using var result = JsonDocument.Parse(CommandRun.Of("eval", model, "--text", Text, "--windows", "4", "--json").Output);
            return result.RootElement.GetProperty("texts").EnumerateObject().First().Value.GetProperty("nll").GetProperty("value").GetDouble();
        }
    }

    [Fact]
    public void What_cannot_be_rewired_is_a_sentence()
    {
        Assert.Contains("--wiring is 'other', expected farskip", CommandRun.Mistake("convert", TestPaths.Model, "--wiring", "other", "-o", folder.File("out")));
        Assert.Contains("no other shortcut", CommandRun.Mistake("convert", TestPaths.Golden("scmoe/pos2"), "--wiring", "farskip", "-o", folder.File("out")));
        Assert.Contains("--steps goes with --text", CommandRun.Mistake("convert", TestPaths.Model, "--wiring", "farskip", "-o", folder.File("out"), "--steps", "3"));
        Assert.False(Directory.Exists(folder.File("out")));
    }

    public void Dispose() => folder.Dispose();
}

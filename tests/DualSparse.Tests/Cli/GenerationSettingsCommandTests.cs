using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Models;

namespace DualSparse.Tests.Cli;

/// <summary>What a checkpoint asks of generation bars generation, and no other command.</summary>
public class GenerationSettingsCommandTests
{
    [Theory]
    [InlineData("""{"num_beams": 4, "eos_token_id": 0}""", "generation_config.json: 'num_beams' is 4, which is not implemented (expected 1)")]
    [InlineData("""{"eos_token_id": """, "generation_config.json: it is not valid JSON")]
    public void Other_commands_work(string generation, string expected)
    {
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.WriteAllText(folder.File("generation_config.json"), generation);
        File.WriteAllText(folder.File("text.txt"), string.Concat(Enumerable.Repeat("The Roman army marched on good roads. ", 20)));
        string[][] commands =
        [
            ["inspect", folder.Path], ["verify", folder.Path], ["eval", folder.Path, "--text", folder.File("text.txt"), "--context", "64", "--windows", "1"],
            ["sparsify", folder.Path, "-o", folder.File("out"), "--no-search", "--windows", "4", "--context", "32"], ["sparsify", folder.Path, "-o", folder.File("cut"), "--complete", "2"],
        ];
        foreach (string[] command in commands)
        {
            var run = CommandRun.Of(command);
            Assert.True(run.Code == 0, $"{command[0]}: {run.Errors}");
        }

        // Taking the best token always is no answer to a file that asks for beams.
        foreach (string[] options in new string[][] { [], ["--temperature", "0"] })
        {
            var run = CommandRun.Of(["generate", "Once", "--model", folder.Path, "-n", "2", .. options]);
            Assert.Equal(1, run.Code);
            Assert.Contains(expected, run.Errors);
        }

        using var model = MoeModel.Load(folder.Path);
        using var session = model.NewSession();
        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => session.Generate("Once")).Message);
        // Options of one's own say all.
        Assert.Equal(2, session.Generate("Once", new GenerationOptions { MaxTokens = 2, EosIds = [] }, TestContext.Current.CancellationToken).Count());
    }

    [Theory]
    [InlineData("""{"do_sample": true, "typical_p": 0.9, "eta_cutoff": 1e-3}""", "eta_cutoff", "--temperature 0")]
    [InlineData("""{"do_sample": "yes", "temperature": -1, "top_p": 5, "top_k": -7}""", "do_sample", "--temperature 0")]
    [InlineData("""{"top_p": "0.9"}""", "top_p", "--top-p 0.9")]
    [InlineData("""{"max_new_tokens": -1}""", "max_new_tokens", "-n 2")]
    [InlineData("""{"stop_strings": [1]}""", "stop_strings", "--stop %")]
    [InlineData("""{"stop_strings": [""]}""", "stop_strings", "--stop %")]
    [InlineData("""{"repetition_penalty": 0}""", "repetition_penalty", "--repetition-penalty 1")]
    public void An_option_stands_for_a_field_that_cannot_be_followed(string generation, string field, string option)
    {
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.WriteAllText(folder.File("generation_config.json"), generation);
        string message = CommandRun.Mistake("generate", "Once", "--model", folder.Path);
        Assert.Contains($"'{field}", message);
        Assert.EndsWith("take the field out of the file or mend it", message);
        var run = CommandRun.Of(["generate", "Once", "--model", folder.Path, "-n", "2", .. option.Split(' ')[0] == "-n" ? Array.Empty<string>() : option.Split(' ')]);
        Assert.True(run.Code == 0, run.Errors);
    }

    // Nothing is sampled as the file stands; the option samples.
    [Fact]
    public void A_field_of_sampled_text_bars_where_an_option_samples()
    {
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.WriteAllText(folder.File("generation_config.json"), """{"typical_p": 0.9}""");
        Assert.Equal(0, CommandRun.Of("generate", "Once", "--model", folder.Path, "-n", "1").Code);
        Assert.Contains("'typical_p' is 0.9", CommandRun.Mistake("generate", "Once", "--model", folder.Path, "-n", "1", "--temperature", "0.7"));
    }
}

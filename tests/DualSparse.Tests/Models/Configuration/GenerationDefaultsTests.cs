using System.Text;
using System.Text.Json.Nodes;
using DualSparse.Models;

namespace DualSparse.Tests.Models.Configuration;

/// <summary>Settings for generating are followed, passed over where that changes no text, or bar generation alone.</summary>
public class GenerationDefaultsTests
{
    private const string File = "generation_config.json";

    [Fact]
    public void Settings_are_read()
    {
        var defaults = Read("""{"eos_token_id":[2,3],"temperature":0.5,"top_k":7,"do_sample":true,"stop_strings":"###"}""");
        Assert.Equal([2, 3], defaults.EosIds);
        Assert.Equal(["###"], defaults.StopStrings);
        Assert.Equal((1, 0.5f, 7, null, true), (defaults.BosId, defaults.Temperature, defaults.TopK, defaults.TopP, defaults.DoSample));
        Assert.Equal((null, 0), (defaults.Refusal, defaults.Notes.Count));
    }

    [Theory]
    [InlineData("""{"num_beams":4}""", "'num_beams' is 4, which is not implemented (expected 1)")]
    [InlineData("""{"no_repeat_ngram_size":3}""", "'no_repeat_ngram_size' is 3, which is not implemented (expected 0)")]
    [InlineData("""{"presence_penalty":1.5}""", "'presence_penalty' is 1.5")]
    [InlineData("""{"mirostat":1}""", "'mirostat' is 1, which is not implemented (expected 0)")]
    [InlineData("""{"do_sample":true,"typical_p":0.9}""", "'typical_p' is 0.9")]
    [InlineData("""{"temperature":-1}""", "'temperature' is -1, expected a number from 0")]
    [InlineData("""{"temperature":NaN}""", "'temperature' is NaN, expected a number from 0")]
    [InlineData("""{"top_k":-2}""", "'top_k' is -2, expected a whole number from -1")]
    [InlineData("""{"do_sample":"yes"}""", "'do_sample' is \"yes\", expected true or false")]
    [InlineData("""{"eos_token_id":[2,"x"]}""", "'eos_token_id[1]' is \"x\", expected a whole number")]
    [InlineData("""{"eos_token_id":320}""", "'eos_token_id' is 320, expected a whole number from 0 to 319")]
    [InlineData("""{"eos_token_id":2,"eos_token_id":3}""", "'eos_token_id' stands there twice")]
    [InlineData("""[1]""", "the top level is [1], expected an object")]
    [InlineData("""{""", "it is not valid JSON")]
    [InlineData("", "it is not valid JSON (line 1, byte 0): it is empty")]
    [InlineData("<html>gone</html>", "it is a page or an error message")]
    [InlineData("""{"\ud800":1}""", "it holds a name that is no valid text")]
    [InlineData("""{"stop_strings":["a","\ud800"]}""", """'stop_strings[1]' is "\ud800", which is no valid text""")]
    [InlineData("""{"num_beams":[ ],"num_beam_groups":{ "a": 1 }}""", "'num_beam_groups' is { \"a\": 1 }, which is not implemented")]
    public void What_cannot_be_followed_bars_generation_alone(string generation, string expected)
    {
        var defaults = Read(generation);
        Assert.StartsWith($"{File}: ", defaults.Refusal);
        Assert.Contains(expected, defaults.Refusal);
        // The ids still count, where they can be read: evaluation and calibration open and part texts by them.
        Assert.Equal(1, defaults.BosId);
        var error = Assert.Throws<ModelFormatException>(() => DualSparse.Engine.Serving.GenerationOptions.From(defaults));
        Assert.StartsWith(defaults.Refusal, error.Message);
        Assert.EndsWith("take the field out of the file or mend it", error.Message);
    }

    [Theory]
    [InlineData("""{"top_k":-1}""")]
    [InlineData("""{"top_k":null,"top_p":null,"temperature":null,"eos_token_id":null,"num_beams":null}""")]
    [InlineData("""{"num_beams":1,"early_stopping":true,"length_penalty":2.0,"transformers_version":"9"}""")]
    [InlineData("""{"do_sample":false,"typical_p":0.9,"epsilon_cutoff":3e-4}""")]
    [InlineData("""{"max_time":NaN,"min_p":0.05,"top_k":50.0}""")]
    public void What_changes_no_text_is_passed_over(string generation)
    {
        var defaults = Read(generation);
        Assert.Equal((null, 0), (defaults.Refusal, defaults.Notes.Count));
        Assert.Equal([2], defaults.EosIds);
    }

    [Fact]
    public void Unknown_fields_are_noted()
    {
        var defaults = Read("""{"num_return_sequences":3,"assistant_mood":[1]}""");
        Assert.Null(defaults.Refusal);
        Assert.Equal([$"{File}: not used: num_return_sequences, assistant_mood"], defaults.Notes);
    }

    [Fact]
    public void A_folder_in_the_files_place_bars_generation_alone()
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        System.IO.File.Delete(folder.File(File));
        Assert.Null(ModelConfig.Load(folder.Path).Generation.Refusal);
        Directory.CreateDirectory(folder.File(File));
        Assert.Equal($"{folder.File(File)}: it is a folder, expected a file", ModelConfig.Load(folder.Path).Generation.Refusal);
    }

    // As checkpoints before generation_config.json had them.
    [Fact]
    public void In_config_they_count_where_the_other_file_is_missing()
    {
        Assert.Contains("'num_beams' is 4", Read(null, config => config["num_beams"] = 4).Refusal);
        Assert.Null(Read("{}", config => config["num_beams"] = 4).Refusal);
        Assert.Equal(0.5f, Read(null, config => config["temperature"] = 0.5).Temperature);
        Assert.Contains("config.json: 'eos_token_id' is 320", Read(null, config => config["eos_token_id"] = 320).Refusal);
        Assert.Null(Read("""{"eos_token_id":3}""", config => config["eos_token_id"] = 320).Refusal);
    }

    private static GenerationDefaults Read(string? generation, Action<JsonObject>? change = null)
    {
        var config = JsonNode.Parse(System.IO.File.ReadAllText(TestPaths.Golden("olmoe", "config.json")))!.AsObject();
        change?.Invoke(config);
        return ModelConfig.Parse(Encoding.UTF8.GetBytes(config.ToJsonString()), "config.json", generation is null ? null : Encoding.UTF8.GetBytes(generation), File).Generation;
    }
}

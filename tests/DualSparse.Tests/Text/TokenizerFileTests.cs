using System.Text;
using CsCheck;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>Damaged files, and files that ask for what isn't implemented, give one sentence that names the place.</summary>
public class TokenizerFileTests
{
    private const string Model = """{"vocab":{"a":0,"b":1,"ab":2,"<u>":3},"merges":["a b"]}""";

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "the top level is an array, expected an object")]
    [InlineData("{}", "'model' is missing")]
    [InlineData("""{"model":null}""", "'model' is null, expected an object")]
    [InlineData("""{"model":{}}""", "'model.vocab' is missing")]
    [InlineData("""{"model":{"vocab":{}}}""", "'model.merges' is missing")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[]}}""", "the model Unigram (only BPE is) isn't implemented")]
    [InlineData("""{"model":{"vocab":[],"merges":[]}}""", "'model.vocab' is an array, expected an object")]
    [InlineData("""{"model":{"vocab":{"a":-1},"merges":[]}}""", "'a' has -1, expected an id of 0")]
    [InlineData("""{"model":{"vocab":{"a":1e99},"merges":[]}}""", "'a' has 1e99, expected an id")]
    [InlineData("""{"model":{"vocab":{"a":2000000000},"merges":[]}}""", "'a' has 2000000000, expected an id")]
    [InlineData("""{"model":{"vocab":{"a":"x"},"merges":[]}}""", "'a' has a string, expected an id")]
    [InlineData("""{"model":{"vocab":{"a":0,"b":0},"merges":[]}}""", "'b' and 'a' both have the id 0")]
    [InlineData("""{"model":{"vocab":{"a":0,"a":1},"merges":[]}}""", "'a' is given twice")]
    [InlineData("""{"model":{"vocab":{"\ud800":0},"merges":[]}}""", "not valid Unicode")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":["a b"]}}""", "'model.merges[0]' refers to 'b', which model.vocab lacks")]
    [InlineData("""{"model":{"merges":[["a","b"]],"vocab":{"a":0,"b":1}}}""", "'model.merges[0]' refers to 'ab', which model.vocab lacks")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":["aa"]}}""", "'model.merges[0]' is 'aa', expected two tokens")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":[["a"]]}}""", "'model.merges[0]' is not a string or an array of two strings")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":{}}}""", "'model.merges' is an object, expected an array")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":[],"unk_token":"u"}}""", "'model.unk_token' is \"u\", expected a token of model.vocab")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}}""", "a end_of_word_suffix isn't implemented")]
    [InlineData("""{"model":{"vocab":{"a":0},"merges":[],"byte_fallback":3}}""", "'model.byte_fallback' is 3, expected true or false")]
    public void A_damaged_model_is_named(string json, string message) => Fails(json, message);

    [Theory]
    [InlineData("\"normalizer\":{\"type\":\"Precompiled\"}", "'normalizer': the normalizer Precompiled isn't implemented")]
    [InlineData("\"normalizer\":{}", "'normalizer.type' is missing, expected a string")]
    [InlineData("\"normalizer\":[]", "'normalizer' is [], expected an object")]
    [InlineData("\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}", "the pre-tokenizer BertPreTokenizer isn't implemented")]
    [InlineData("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}", "not a regular expression that can be used: a parenthesis without its closing one")]
    [InlineData("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a)\\\\1\"},\"behavior\":\"Isolated\"}", "\\1 (a backreference or an octal number) in the regular expression '(a)\\1' isn't implemented")]
    [InlineData("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"3\"}", "behavior' is \"3\", expected Removed, Isolated")]
    [InlineData("\"post_processor\":{\"type\":\"BertProcessing\"}", "the post-processor BertProcessing isn't implemented")]
    [InlineData("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}", "'post_processor.single' is [], expected one Sequence")]
    [InlineData("\"decoder\":{\"type\":\"WordPiece\"}", "the decoder WordPiece")]
    [InlineData("\"added_tokens\":{}", "'added_tokens' is {}, expected an array")]
    [InlineData("\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]", "'added_tokens[0].id' is 0, expected an id other than that of 'a'")]
    [InlineData("\"added_tokens\":[{\"id\":9,\"content\":\"a\"}]", "'added_tokens[0].id' is 9, expected 0, the id of 'a'")]
    [InlineData("\"added_tokens\":[{\"id\":-9,\"content\":\"q\"}]", "'added_tokens[0].id' is -9, expected a whole number from 0")]
    public void A_part_that_cannot_be_used_is_named(string section, string message) => Fails($"{{{section},\"model\":{Model}}}", message);

    [Fact]
    public void Deep_nesting_is_refused() =>
        Fails($"{{\"normalizer\":{new string('[', 100_000)}", "not valid JSON");

    [Fact]
    public void A_missing_file_is_named()
    {
        var error = Assert.Throws<ModelFormatException>(() => Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "nowhere")));
        Assert.Contains("nowhere", error.Message);
    }

    [Fact]
    public void A_pattern_made_to_explode_ends()
    {
        string json = $$$"""{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a|a|aa)+$"},"behavior":"Isolated"},"model":{{{Model}}}}""";
        var tokenizer = Tokenizer.Parse(Encoding.UTF8.GetBytes(json));
        var error = Assert.Throws<ModelFormatException>(() => tokenizer.Encode(new string('a', 60) + "b"));
        Assert.Contains("(a|a|aa)+$", error.Message);
    }

    [Fact]
    public void Any_change_of_bytes_loads_or_is_refused()
    {
        byte[] file = File.ReadAllBytes(TestPaths.Golden("tokenizer", "sentencepiece", "tokenizer.json"));
        int vocabulary = file.AsSpan().IndexOf("\"vocab\""u8);
        Gen.Select(Gen.OneOf(Gen.Int[0, vocabulary + 400], Gen.Int[0, file.Length - 1]), Gen.Byte[1, 140], Gen.Bool).Sample(
            change =>
            {
                (int at, byte value, bool cut) = change;
                byte[] changed = cut ? file[..at] : [.. file[..at], value, .. file[(at + 1)..]];
                try
                {
                    Tokenizer.Parse(changed).Encode("Hello, <s> world");
                }
                catch (ModelFormatException e)
                {
                    Assert.StartsWith("tokenizer.json", e.Message);
                    Assert.DoesNotContain('\n', e.Message);
                }
            },
            iter: 300);
    }

    private static void Fails(string json, string message)
    {
        var error = Assert.Throws<ModelFormatException>(() => Tokenizer.Parse(Encoding.UTF8.GetBytes(json)));
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}

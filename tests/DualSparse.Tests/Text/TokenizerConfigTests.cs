using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>What tokenizer_config.json and the files beside it change.</summary>
public class TokenizerConfigTests
{
    private const string Added = """[{"id":5,"content":"<s>","special":true},{"id":6,"content":"</s>","special":true}]""";

    private const string Opening = """
        {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[5]}}}
        """;

    private const string Closing = """
        {"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"</s>"}}],"special_tokens":{"</s>":{"ids":[6]}}}
        """;

    private const string Llama = "\"tokenizer_class\":\"LlamaTokenizerFast\",\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"";

    public static TheoryData<string, string, int[], string?> Flags => new()
    {
        { "null", $$"""{{{Llama}},"add_bos_token":true}""", [5, 0, 1], "add_bos_token true: <s> is put before a text, where tokenizer.json has nothing" },
        { "{\"type\":\"ByteLevel\"}", """{"bos_token":{"__type":"AddedToken","content":"<s>"},"add_bos_token":true}""", [5, 0, 1], "add_bos_token true" },
        { Opening, $$"""{{{Llama}},"add_bos_token":true}""", [5, 0, 1], null },
        { Opening, $$"""{{{Llama}},"add_bos_token":false}""", [0, 1], "add_bos_token false: nothing is put before a text, where tokenizer.json has <s>" },
        { Opening, $$"""{{{Llama}},"add_bos_token":true,"add_eos_token":true}""", [5, 0, 1, 6], "add_eos_token true: </s> is put after a text" },
        { Closing, """{"add_bos_token":false,"add_eos_token":false,"eos_token":"</s>","tokenizer_class":"GPTNeoXTokenizer"}""", [0, 1], "add_eos_token false: nothing is put after a text, where tokenizer.json has </s>" },
        { Closing, $$"""{{{Llama}},"add_bos_token":true}""", [5, 0, 1], "add_eos_token not: nothing is put after a text" },
        { Closing, $$"""{{{Llama}}}""", [0, 1, 6], null },
        { Opening, "{}", [5, 0, 1], null },
        { Opening, """{"add_bos_token":true}""", [0, 1], "add_bos_token true and no bos_token: nothing is put there" },
    };

    [Theory, MemberData(nameof(Flags))]
    public void Flags_decide_what_stands_around_a_text(string post, string config, int[] ids, string? note)
    {
        Tokenizer tokenizer = Load($"\"post_processor\":{post}", ("tokenizer_config.json", config));
        Assert.Equal(ids, tokenizer.Encode("ab"));
        Assert.Equal([0, 1], tokenizer.Encode("ab", addSpecial: false));
        Assert.Equal(note is null, tokenizer.Notes.Count == 0);
        Assert.Contains(note ?? "", string.Join('\n', tokenizer.Notes));
    }

    [Fact]
    public void A_file_alone_says_everything()
    {
        using var folder = Folder($"\"post_processor\":{Opening}", ("tokenizer_config.json", $$"""{{{Llama}},"add_bos_token":false}"""));
        Assert.Equal([0, 1], Tokenizer.Load(folder.Path).Encode("ab"));
        Assert.Equal([5, 0, 1], Tokenizer.Load(Path.Combine(folder.Path, "tokenizer.json")).Encode("ab"));
    }

    [Theory]
    [InlineData(true, "GPT2TokenizerFast", "false", new[] { 0, 1 })]
    [InlineData(false, "GPT2TokenizerFast", "true", new[] { 2, 0, 1 })]
    [InlineData(true, "PreTrainedTokenizerFast", "false", new[] { 2, 0, 1 })]
    [InlineData(true, "GPT2TokenizerFast", "null", new[] { 2, 0, 1 })]
    public void A_space_is_put_before_a_text_where_the_class_asks(bool own, string kind, string flag, int[] ids)
    {
        string split = $$"""{"type":"ByteLevel","add_prefix_space":{{(own ? "true" : "false")}},"use_regex":true}""";
        Assert.Equal(ids, Load($"\"pre_tokenizer\":{split}", ("tokenizer_config.json", $$"""{"tokenizer_class":"{{kind}}","add_prefix_space":{{flag}}}""")).Encode("ab"));
    }

    [Theory]
    [InlineData("false", 1)]
    [InlineData("true", 0)]
    public void A_space_that_is_not_of_bytes_stays_and_is_noted(string flag, int notes)
    {
        Tokenizer tokenizer = Load(
            """
            "pre_tokenizer":{"type":"Metaspace","replacement":"Ġ","prepend_scheme":"first"}
            """,
            ("tokenizer_config.json", $$"""{"tokenizer_class":"LlamaTokenizer","add_prefix_space":{{flag}}}"""));
        Assert.Equal([2, 0, 1], tokenizer.Encode("ab"));
        Assert.Equal(notes, tokenizer.Notes.Count);
    }

    [Fact]
    public void Tokens_that_only_the_configuration_has_are_there()
    {
        var tokenizer = Load("\"decoder\":null", ("tokenizer_config.json",
            """{"added_tokens_decoder":{"5":{"content":"<s>","lstrip":true,"special":true},"9":{"content":"<think>","special":false}},"eos_token":"b"}"""));
        Assert.Equal([0, 9, 1], tokenizer.Encode("a<think>b"));
        Assert.Equal([0, 5], tokenizer.Encode("a  <s>"));
        Assert.False(tokenizer.IsSpecial(9));
        Assert.True(tokenizer.IsSpecial(1));
        Assert.Equal(10, tokenizer.VocabularySize);
    }

    [Theory]
    [InlineData("""["b"]""")]
    [InlineData("""{"image_token":"b"}""")]
    [InlineData("""[{"content":"b"}]""")]
    public void Further_special_tokens_are_a_list_or_have_a_role_each(string tokens)
    {
        var tokenizer = Load("\"decoder\":null", ("tokenizer_config.json", $$"""{"extra_special_tokens":{{tokens}}}"""));
        Assert.True(tokenizer.IsSpecial(1));
        Assert.False(tokenizer.IsSpecial(0));
    }

    [Fact]
    public void Older_folders_have_them_in_files_of_their_own()
    {
        (string, string)[] older = [("added_tokens.json", """{"<x>":7}"""), ("special_tokens_map.json", """{"bos_token":"<s>","additional_special_tokens":["<x>"]}""")];
        Tokenizer tokenizer = Load("\"decoder\":null", [.. older, ("tokenizer_config.json", """{"add_bos_token":true}""")]);
        Assert.Equal([5, 0, 7, 1], tokenizer.Encode("a<x>b"));
        Assert.True(tokenizer.IsSpecial(7));
        tokenizer = Load("\"decoder\":null", [.. older, ("tokenizer_config.json", """{"added_tokens_decoder":{},"bos_token":"</s>","add_bos_token":true}""")]);
        Assert.DoesNotContain(7, tokenizer.Encode("a<x>b"));
        Assert.Equal(6, tokenizer.Encode("a")[0]);
    }

    [Theory]
    [InlineData("[]", "tokenizer_config.json: the top level is [], expected an object")]
    [InlineData("{", "tokenizer_config.json: it is not valid JSON")]
    [InlineData("""{"add_bos_token":3}""", "'add_bos_token' is 3, expected true or false")]
    [InlineData("""{"add_bos_token":true,"bos_token":"<q>"}""", "'bos_token' is \"<q>\", expected a token of the vocabulary")]
    [InlineData("""{"added_tokens_decoder":{"0":{"content":"<q>"}}}""", "expected an id other than that of 'a'")]
    [InlineData("""{"added_tokens_decoder":{"x":{"content":"<q>"}}}""", "'x' is no id from 0 to")]
    [InlineData("""{"split_special_tokens":true}""", "'split_special_tokens': special tokens that are split like text isn't implemented")]
    public void What_cannot_be_used_is_named(string config, string message)
    {
        var error = Assert.Throws<ModelFormatException>(() => Load("\"decoder\":null", ("tokenizer_config.json", config)));
        Assert.Contains(message, error.Message);
    }

    private static Tokenizer Load(string section, params (string Name, string Text)[] files)
    {
        using var folder = Folder(section, files);
        return Tokenizer.Load(folder.Path);
    }

    private static TemporaryFolder Folder(string section, params (string Name, string Text)[] files)
    {
        var folder = new TemporaryFolder();
        const string model = """{"vocab":{"a":0,"b":1,"Ġ":2},"merges":[]}""";
        File.WriteAllText(Path.Combine(folder.Path, "tokenizer.json"), $$"""{ {{section}},"added_tokens":{{Added}},"model":{{model}}}""");
        foreach ((string name, string text) in files)
        {
            File.WriteAllText(Path.Combine(folder.Path, name), text);
        }

        return folder;
    }
}

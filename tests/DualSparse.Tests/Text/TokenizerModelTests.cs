using System.Text;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>Whole tokenizers of a few tokens: the settings of the model, the post-processor and the decoder.</summary>
public class TokenizerModelTests
{
    [Fact]
    public void Merges_may_be_strings_or_pairs_and_stand_before_the_vocabulary()
    {
        foreach (string merges in (string[])["""["a b","ab c"]""", """[["a","b"],["ab","c"]]"""])
        {
            const string vocabulary = """{"a":0,"b":1,"c":2,"ab":3,"abc":4}""";
            Assert.Equal([4, 3], Parse($$$"""{"model":{"merges":{{{merges}}},"vocab":{{{vocabulary}}}}}""").Encode("abcab"));
            Assert.Equal([4, 3], Parse($$$"""{"model":{"vocab":{{{vocabulary}}},"merges":{{{merges}}}}}""").Encode("abcab"));
        }
    }

    [Theory]
    [InlineData(false, false, "a??b", new[] { 0, 9, 9, 1 })]
    [InlineData(true, false, "a??b?", new[] { 0, 9, 1, 9 })]
    [InlineData(true, true, "aé?b", new[] { 0, 5, 6, 9, 1 })]
    public void What_the_vocabulary_lacks_becomes_bytes_or_unknown(bool fuse, bool bytes, string text, int[] ids)
    {
        string model = $$$"""
            {"model":{"vocab":{"a":0,"b":1,"<0xC3>":5,"<0xA9>":6,"<u>":9},"merges":[],"unk_token":"<u>",
            "fuse_unk":{{{(fuse ? "true" : "false")}}},"byte_fallback":{{{(bytes ? "true" : "false")}}}}}
            """;
        Assert.Equal(ids, Parse(model).Encode(text));
    }

    [Fact]
    public void A_whole_word_may_go_before_the_merges()
    {
        const string model = "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"bc\":3,\"abc\":4,\"Ġ\":5,\"Ġa\":6},\"merges\":[\"b c\"]";
        const string split = "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}";
        Assert.Equal([0, 3, 5, 0], Parse($"{{{split},\"model\":{{{model}}}}}").Encode("abc a"));
        Assert.Equal([4, 6], Parse($"{{{split},\"model\":{{{model},\"ignore_merges\":true}}}}").Encode("abc a"));
    }

    [Fact]
    public void A_normalized_token_is_found_in_normalized_text()
    {
        Tokenizer tokenizer = Parse("""
            {"normalizer":{"type":"NFC"},"added_tokens":[{"id":7,"content":"e\u0301","normalized":true},{"id":8,"content":"o\u0301","normalized":false}],
            "model":{"vocab":{"a":0},"merges":[]}}
            """);
        Assert.Equal([0, 7, 7, 8], tokenizer.Encode("aée\u0301o\u0301ó"));
        Assert.False(tokenizer.IsSpecial(7));
    }

    [Fact]
    public void A_template_stands_around_the_text()
    {
        Tokenizer tokenizer = Parse("""
            {"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
            "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"</s>"}}],
            "special_tokens":{"<s>":{"ids":[3]},"</s>":{"ids":[4]}}}]},
            "added_tokens":[{"id":3,"content":"<s>","special":true},{"id":4,"content":"</s>","special":true}],
            "model":{"vocab":{"a":0},"merges":[]}}
            """);
        Assert.Equal([3, 0, 4], tokenizer.Encode("a"));
        Assert.Equal([0], tokenizer.Encode("a", addSpecial: false));
    }

    [Theory]
    [InlineData("null", "▁a b <0xE4> <0xB8>")]
    [InlineData("""{"type":"Metaspace","replacement":"▁"}""", "ab<0xE4><0xB8>")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]}""", "▁ab\uFFFD\uFFFD")]
    [InlineData("""{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1}]}""", "ab\uFFFD\uFFFD")]
    public void Decoders_join_tokens(string decoder, string expected)
    {
        Tokenizer tokenizer = Parse($$$"""{"decoder":{{{decoder}}},"model":{"vocab":{"▁a":0,"b":1,"<0xE4>":2,"<0xB8>":3},"merges":[]}}""");
        Assert.Equal(expected, tokenizer.Decode([0, 1, 2, 3]));
        Assert.Equal(expected, TokenizerGoldenTests.Stream(tokenizer, [0, 1, 2, 3]));
    }

    [Fact]
    public void A_character_is_never_split_over_two_pieces()
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load("sentencepiece");
        var decoder = new StreamingDecoder(tokenizer);
        int[] ids = [.. "中"u8.ToArray().Select(b => tokenizer.IdOf($"<0x{b:X2}>")!.Value)];
        Assert.Equal(["", "", "中", ""], [.. ids.Select(decoder.Push), decoder.Flush()]);
        Assert.Equal(["", "", "\uFFFD\uFFFD"], [decoder.Push(ids[0]), decoder.Push(ids[1]), decoder.Flush()]);
        Assert.Equal(["", "\uFFFDa"], [decoder.Push(ids[0]), decoder.Push(tokenizer.IdOf("a")!.Value)]);

        tokenizer = TokenizerGoldenTests.Load("gpt2");
        decoder = new StreamingDecoder(tokenizer);
        int[] bytes = tokenizer.Encode("中");
        string[] pieces = [.. bytes.Select(decoder.Push)];
        Assert.All(pieces[..^1], Assert.Empty);
        Assert.Equal("中", pieces[^1]);
        Assert.Equal(["", "\uFFFD", ""], [decoder.Push(bytes[0]), decoder.Flush(), decoder.Flush()]);
    }

    private static Tokenizer Parse(string json) => Tokenizer.Parse(Encoding.UTF8.GetBytes(json));

    [Fact]
    public void Whole_words_are_the_models_own()
    {
        var tokenizer = Parse("""
            {"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Isolated"},
            "added_tokens":[{"id":3,"content":"ab","single_word":true,"special":false}],
            "model":{"ignore_merges":true,"vocab":{"a":0,"b":1,"1":2},"merges":[]}}
            """);
        Assert.Equal([0, 1, 2], tokenizer.Encode("ab1"));
        Assert.Equal([3], tokenizer.Encode("ab"));
    }
}

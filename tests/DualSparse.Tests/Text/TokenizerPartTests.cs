using System.Text.Json;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>The parts of a tokenizer.json one by one. Pieces are written with | between them.</summary>
public class TokenizerPartTests
{
    // A match without length right after a match isn't one.
    [Fact]
    public void A_cut_joins_what_comes_next() => Assert.Equal(
        "x| A|B", Split("""{"type":"Split","pattern":{"Regex":"\\s+|(?=[A-Z])"},"behavior":"MergedWithNext"}""", "x AB"));

    [Theory]
    [InlineData("Removed", false, "a|bc")]
    [InlineData("Removed", true, "-|-|-|-")]
    [InlineData("Isolated", false, "-|a|-|-|bc|-")]
    [InlineData("MergedWithPrevious", false, "-|a-|-|bc-")]
    [InlineData("MergedWithNext", false, "-a|-|-bc|-")]
    [InlineData("Contiguous", false, "-|a|--|bc|-")]
    public void A_split_does_with_its_matches_what_it_says(string behavior, bool invert, string pieces)
    {
        foreach (string pattern in (string[])["""{"String":"-"}""", """{"Regex":"-"}"""])
        {
            Assert.Equal(pieces, Split(
                $$"""{"type":"Split","pattern":{{pattern}},"behavior":"{{behavior}}","invert":{{(invert ? "true" : "false")}}}""", "-a--bc-"));
        }
    }

    [Theory]
    [InlineData("always", true, "ab c", "▁ab|▁c")]
    [InlineData("always", false, "ab c", "▁ab|▁c")]
    [InlineData("first", false, "ab c", "ab|▁c")]
    [InlineData("first", true, " ab", "▁ab")]
    [InlineData("never", true, "ab  c", "ab|▁|▁c")]
    public void Metaspace_marks_where_words_start(string scheme, bool atStart, string text, string pieces) =>
        Assert.Equal(pieces, Split($$"""{"type":"Metaspace","replacement":"▁","prepend_scheme":"{{scheme}}"}""", text, atStart));

    [Theory]
    [InlineData("""{"type":"Digits","individual_digits":true}""", "ab12٣c", "ab|1|2|٣|c")]
    [InlineData("""{"type":"Digits"}""", "ab12٣c𝟗𝟗", "ab|12٣|c|𝟗𝟗")]
    [InlineData("""{"type":"WhitespaceSplit"}""", " ab  c ", "ab|c")]
    [InlineData("""{"type":"Punctuation"}""", "ab,c!", "ab|,|c|!")]
    [InlineData("""{"type":"Punctuation"}""", "a$b—c\u2E52d\u166De", "a|$|b|—|c\u2E52d|\u166D|e")]
    [InlineData("""{"type":"Digits","individual_digits":true}""", "1½ⅧⅨ²", "1|½|Ⅷ|Ⅸ|²")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":true}""", "ab 𐐀c", " ab| 𐐀c")]
    [InlineData("""{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Digits"}]}""", "a1 b2", "a|1|b|2")]
    public void Pre_tokenizers_split(string json, string text, string pieces) => Assert.Equal(pieces, Split(json, text));

    [Theory]
    [InlineData(@"(?i:'s|'t)", "it'S 'ſ'x", "it|'S| |'ſ|'x")]
    [InlineData(@"[^\r\n\p{L}\p{N}]?+\p{L}++", " ab!c 𝒳y\n", " ab|!c| 𝒳y|\n")]
    [InlineData(@"\p{N}{1,3}+", "1234a", "1234|a")]
    [InlineData(@"\x{61}\u0062|[\x63-\x{65}]", "abcdef", "ab|c|d|e|f")]
    [InlineData(@"a*+a|b", "aaab", "aaa|b")]
    [InlineData(@"(?:a+)+?b|\p{^L}", "aab1", "aab|1")]
    [InlineData(@"[\[\]\-x-]+", "a[]-x", "a|[]-x")]
    public void Patterns_mean_what_they_mean_elsewhere(string pattern, string text, string pieces) =>
        Assert.Equal(pieces, Split(
            $$"""{"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(pattern)}}},"behavior":"Isolated"}""", text));

    [Theory]
    [InlineData("a <x> b", "a| <x>| b")]
    [InlineData("a<w>b <w>", "a<w>b |<w>")]
    [InlineData("𐐀<w>", "𐐀<w>")]
    [InlineData("ⓐ<w>ⓑ", "ⓐ<w>ⓑ")]
    [InlineData("<w>\u093F", "<w>\u093F")]
    [InlineData("<w>\u200D", "<w>\u200D")]
    [InlineData("Ⅷ<w>", "Ⅷ<w>")]
    [InlineData("½<w>²", "½|<w>|²")]
    [InlineData("中<w>😀", "中<w>😀")]
    [InlineData("😀<w>。", "😀|<w>|。")]
    [InlineData("a\u3000\u00A0<x>\u200Bb", "a|\u3000\u00A0<x>|\u200Bb")]
    [InlineData("a<r>  b", "a|<r>  |b")]
    [InlineData("<r>  <x>", "<r>  |<x>")]
    [InlineData("<x><xx>  <x>", "<x>|<xx>|  <x>")]
    [InlineData("<x", "<x")]
    public void Added_tokens_take_what_they_may(string text, string pieces)
    {
        AddedToken Token(int id, string content) => new(id, content, Special: true, false, content == "<w>", content == "<x>", content == "<r>");
        var added = new AddedTokens(((string[])["<x>", "<w>", "<r>", "<xx>"]).Select((content, id) => (content, Token(id, content))));
        Assert.Equal(pieces, string.Join('|', added.Split(text, TokenTrust.All).Select(s => text[s.Start..s.End])));
        Assert.Equal(text, string.Join('|', added.Split(text, TokenTrust.NoSpecial).Select(s => text[s.Start..s.End])));
    }

    [Theory]
    [InlineData("e\u0301", "é")]
    [InlineData("\u212B", "Å")]
    [InlineData("a\u0315\u0300\u05AE\u0062", "\u00E0\u05AE\u0315b")]
    [InlineData("\u1100\u1161\u11A8 \uAC00\u11A8", "각 각")]
    [InlineData("\u0344", "\u0308\u0301")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")]
    [InlineData("q\u0323\u0307 q\u0307\u0323", "q\u0323\u0307 q\u0323\u0307")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("\uD55C\uAE00 plain", "한글 plain")]
    public void Form_C_is_canonical(string text, string expected)
    {
        Assert.Equal(expected, Canonical.Compose(text));
        Assert.Equal(expected, Canonical.Compose(expected));
    }

    [Theory]
    [InlineData("""{"type":"NFC"}""", "e\u0301", "é")]
    [InlineData("""{"type":"Strip"}""", "  a b ", "a b")]
    [InlineData("""{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]}""", "a b", "_a_b")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}""", "a   b c", "a b c")]
    public void Normalizers_change_the_text(string json, string text, string expected) =>
        Assert.Equal(expected, Normalizer.Read(Fields(json)).Apply(text));

    private static string Split(string json, string text, bool atStart = true)
    {
        List<ReadOnlyMemory<char>> words = [];
        PreTokenizer.Read(Fields(json)).Split(text, atStart, words);
        return string.Join('|', words);
    }

    private static JsonField Fields(string json)
    {
        using var document = JsonDocument.Parse(json);
        return new("tokenizer.json", "part", document.RootElement.Clone());
    }

    [Theory]
    [InlineData("\\\\p{N}{,3}", "1234a", "123|4|a")]
    [InlineData("a{2}?", "aaab", "aa|a|b")]
    [InlineData("a{1,2}?", "aaab", "a|a|a|b")]
    [InlineData("a{2}?+b", "aab", "aab")]
    [InlineData("a{,}", "aaa{,}", "aa|a{,}")]
    [InlineData("a*", "aab", "aa|b")]
    [InlineData("(?=([0-9]{3})+(?![0-9]))", "a1234567", "a1|234|567")]
    public void Intervals_mean_what_they_mean_to_the_files_author(string pattern, string text, string pieces) =>
        Assert.Equal(pieces, Split($$"""{"type":"Split","pattern":{"Regex":"{{pattern}}"},"behavior":"Isolated"}""", text));
}

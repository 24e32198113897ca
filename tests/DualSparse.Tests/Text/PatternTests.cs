using System.Globalization;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Patterns;

namespace DualSparse.Tests.Text;

/// <summary>What patterns of tokenizer.json mean: Oniguruma 6.9.10's matches, as pieces with | between them, and what is refused.</summary>
public class PatternTests
{
    [Theory]
    [InlineData(@"\w+", "दिल्ली में ठंड है", "दिल्ली| |में| |ठंड| |है")]
    [InlineData(@"\w+", "தமிழ் நாடு", "தமிழ்| |நாடு")]
    [InlineData(@"\w+", "ⓐⓑ Ⅷ x²", "ⓐⓑ| |Ⅷ| |x²")]
    [InlineData(@"\w+", "می\u200Cروم", "می|\u200C|روم")]
    [InlineData(@"\b", "दिल्ली में", "दिल्ली| |में")]
    [InlineData(@"\b", "ⓐⓑ Ⅷ x² ½", "ⓐⓑ| |Ⅷ| |x²| |½")]
    [InlineData(@"[^\w\s]+", "दिल्ली में", "दिल्ली में")]
    [InlineData(@"[^\w\s]+", "ⓐⓑ Ⅷ x²", "ⓐⓑ Ⅷ x|²")]
    [InlineData(@"\p{N}{1,3}(?=(?:\p{N}{3})*\b)", "1234567 ½", "1|234|567| |½")]
    [InlineData(@"\p{N}{1,3}(?=(?:\p{N}{3})*\b)", "ⓐⓑ Ⅷ x²", "ⓐⓑ |Ⅷ| x|²")]
    public void Words_are_Unicodes(string pattern, string text, string pieces) => Assert.Equal(pieces, Split(pattern, text));

    [Theory]
    [InlineData(@"[\x{41}-\x{43}]", "ABCD", "A|B|C|D")]
    [InlineData(@"[\t-\r]+", "a\n\t b", "a|\n\t| b")]
    [InlineData(@"[\u4e00-\u9fff]+", "a中国b", "a|中国|b")]
    [InlineData(@"[\x{10400}-\x{1044F}]", "𐐀𐐨a", "𐐀|𐐨|a")]
    [InlineData(@".{2}", "😀a😀😀b", "😀a|😀😀|b")]
    [InlineData(@"[^a]", "😀a", "😀|a")]
    [InlineData(@"[a-c-e]", "abd-e", "a|b|d|-|e")]
    [InlineData(@"[\w&&[^\d]]+", "a1_", "a|1|_")]
    [InlineData(@"[^a&&b]+", "ab", "ab")]
    [InlineData(@"[a-z&&[^aeiou]]+", "hello", "h|e|ll|o")]
    [InlineData(@"[a[0-9]]+", "a1b", "a1|b")]
    [InlineData(@"[[:alpha:]]+", "aé1", "aé|1")]
    [InlineData(@"[[:punct:]]+", "$+a!", "$+|a|!")]
    [InlineData(@"\p{Punct}+", "$+a!", "$+a|!")]
    [InlineData(@"[[:^alpha:]]", "a1b", "a|1|b")]
    [InlineData(@"[]a]+", "]a[", "]a|[")]
    [InlineData(@"\h+", "xfFg", "x|fF|g")]
    [InlineData(@"\R", "a\r\n\nb", "a|\r\n|\n|b")]
    public void Sets_are_exact(string pattern, string text, string pieces) => Assert.Equal(pieces, Split(pattern, text));

    [Theory]
    [InlineData(@"\p{Han}+", "a中々〇b", "a|中々〇|b")]
    [InlineData(@"\p{ H-a_n }+", "中a", "中|a")]
    [InlineData(@"\p{Hiragana}+", "ひらカ", "ひら|カ")]
    [InlineData(@"\P{Latin}+", "aé中", "aé|中")]
    [InlineData(@"\p{^Cyrillic}", "жa", "ж|a")]
    [InlineData(@"\p{Alphabetic}+", "ⓐि1", "ⓐि|1")]
    [InlineData(@"\p{LC}+", "aAǅʰ中", "aAǅ|ʰ中")]
    [InlineData(@"\p{Extended_Pictographic}+", "😀1", "😀|1")]
    [InlineData(@"\p{InBasicLatin}+", "aé", "a|é")]
    [InlineData(@"\p{Letter}+", "a𐐀1", "a𐐀|1")]
    public void Properties_have_every_name(string pattern, string text, string pieces) => Assert.Equal(pieces, Split(pattern, text));

    [Theory]
    [InlineData("(?i)a|b", "xAB", "x|A|B")]
    [InlineData("x(?i)a|b", "xAxBb", "xA|xB|b")]
    [InlineData("(?:a(?i)b|c)d", "aBd aCd cd", "aBd| |aCd| cd")]
    [InlineData("(?i)a(?-i)b", "ABAb", "AB|Ab")]
    [InlineData("(?i:'s|'t)", "it'S'ſ", "it|'S|'ſ")]
    [InlineData("(?i)k", "K\u212Ak", "K|\u212A|k")]
    [InlineData("(?i)ss", "ßẞſsSSs", "ß|ẞ|ſs|SS|s")]
    [InlineData("(?i)ß", "ssSSß", "ss|SS|ß")]
    [InlineData("(?i)ffi", "ﬃﬀi", "ﬃ|ﬀi")]
    [InlineData("(?i)s[s]", "ßss", "ß|ss")]
    [InlineData("(?i)[ß]s", "sss", "sss")]
    [InlineData("(?i)[^ß]", "sß", "s|ß")]
    [InlineData(@"(?i)\p{Lu}+", "aAb", "a|A|b")]
    [InlineData(@"(?i)[\p{Lu}]+", "aAb1", "aAb|1")]
    [InlineData("(?i)İ", "i\u0307I", "i\u0307|I")]
    [InlineData("(?m:a.)", "a\nb", "a\n|b")]
    [InlineData("a.", "a\nab", "a\n|ab")]
    [InlineData("(?x) a b # and\n c", "abcd", "abc|d")]
    public void Flags_hold_as_far_as_they_reach(string pattern, string text, string pieces) => Assert.Equal(pieces, Split(pattern, text));

    [Theory]
    [InlineData("^", "a\nb\n", "a\n|b\n")]
    [InlineData("$", "a\nb\n", "a|\nb|\n")]
    [InlineData(@"a\Z", "a\na\n", "a\n|a|\n")]
    [InlineData(@"a\z", "a\na", "a\n|a")]
    [InlineData(@"\Aa", "aa", "a|a")]
    [InlineData("(?<=a+)b", "aab", "aa|b")]
    [InlineData("(?<!a)b", "abb", "ab|b")]
    [InlineData("(?>a|ab)c|b", "abc", "a|b|c")]
    [InlineData("(?<n>a)(?#text)b", "abb", "ab|b")]
    public void Places_are_exact(string pattern, string text, string pieces) => Assert.Equal(pieces, Split(pattern, text));

    [Theory]
    [InlineData(@"(a)\1", @"\1 (a backreference")]
    [InlineData(@"(?<n>a)\k<n>", @"\k")]
    [InlineData(@"\X", @"\X")]
    [InlineData(@"a\Kb", @"\K")]
    [InlineData(@"\Ga", @"\G")]
    [InlineData(@"(?<n>a)\g<n>", @"\g")]
    [InlineData(@"\y", @"\y")]
    [InlineData(@"\cA", @"\c")]
    [InlineData(@"\xE9", @"\xE9, a byte of a character")]
    [InlineData(@"\x{110000}", @"\x{110000}, which is not one character")]
    [InlineData(@"\x{61 62}", @"\x{61 62}, which is not one character")]
    [InlineData("(?~ab)", "(?~…)")]
    [InlineData("(?(a)b|c)", "(?(…)")]
    [InlineData("(?s:.)", "(?s…)")]
    [InlineData("(*FAIL)", "a callout (*…)")]
    [InlineData("a{3,1}", "the interval {3,1}, whose bounds are the wrong way round")]
    [InlineData("(?:a?)*?", "a lazy quantifier after what may be empty")]
    [InlineData("(?<=a++)b", "a possessive quantifier within a look-behind")]
    [InlineData("(?<=a(?=b))b", "a look-around or an atomic group within a look-behind")]
    [InlineData(@"\p{L&}", @"the property \p{L&}")]
    [InlineData(@"\p{Script=Han}", @"the property \p{Script=Han}")]
    [InlineData(@"[a[^\u0000-\u00ff]]", "a range from U+0000 in a negated class within another")]
    public void What_is_not_implemented_is_named(string pattern, string part) =>
        Assert.StartsWith(part, Assert.Throws<NotSupportedException>(() => new CodePointRegex(pattern)).Message);

    [Theory]
    [InlineData("(a", "a parenthesis without its closing one")]
    [InlineData("a)", "a closing parenthesis too many")]
    [InlineData("[a", "a class without a closing bracket")]
    [InlineData("[]", "an empty class")]
    [InlineData("[z-a]", "a range that doesn't end in a character after its first")]
    [InlineData(@"[\d-a]", "a range that begins with a set")]
    [InlineData("*a", "* repeats nothing")]
    [InlineData("^*", "a quantifier after a place")]
    [InlineData("a{100001}", "an interval beyond 100000")]
    [InlineData("[[:foo:]]", "[:foo:] is no POSIX bracket")]
    [InlineData("a\\", "a backslash at the end")]
    public void What_is_no_pattern_is_told(string pattern, string why) =>
        Assert.StartsWith(why, Assert.Throws<ArgumentException>(() => new CodePointRegex(pattern)).Message);

    [Fact]
    public void Deep_nesting_is_refused()
    {
        Assert.Throws<NotSupportedException>(() => new CodePointRegex(new string('(', 100_000)));
        Assert.Throws<NotSupportedException>(() => new CodePointRegex(new string('[', 100_000)));
    }

    // The library's Oniguruma knows Unicode 16; another version in .NET would show here.
    [Fact]
    public void The_Unicode_version_is_the_librarys()
    {
        Assert.Equal(141_028, Size(UnicodeProperties.Find("L")!));
        Assert.Equal(819_533, Size(UnicodeProperties.Find("Cn")!));
        Assert.Equal(142_759, Size(UnicodeProperties.Find("Alphabetic")!));
        Assert.Equal(144_665, Size(UnicodeProperties.Word));
        Assert.Equal(144_671, Size(UnicodeProperties.BareWord));
        Assert.Equal(99_030, Size(UnicodeProperties.Find("Han")!));
        Assert.Equal(25, Size(UnicodeProperties.Space));
        Assert.Equal(726, Size(UnicodeProperties.OldPunctuation));
        for (int code = 0; code <= char.MaxValue; code++)
        {
            Assert.Equal(char.IsWhiteSpace((char)code), UnicodeProperties.Space.Contains(code));
        }
    }

    [Fact]
    public void Sets_combine_like_their_members()
    {
        var random = new Random(3);
        CodePointSet Any() => CodePointSet.Of(Enumerable.Range(0, 12).Where(_ => random.Next(2) == 0).Concat(random.Next(2) == 0 ? [0x10FFFF] : []));
        for (int i = 0; i < 500; i++)
        {
            (CodePointSet a, CodePointSet b) = (Any(), Any());
            foreach (int code in Enumerable.Range(0, 14).Append(0x10FFFE).Append(0x10FFFF))
            {
                Assert.Equal(a.Contains(code) || b.Contains(code), a.Union(b).Contains(code));
                Assert.Equal(a.Contains(code) && b.Contains(code), a.Intersect(b).Contains(code));
                Assert.Equal(!a.Contains(code), a.Complement().Contains(code));
            }
        }
    }

    private static int Size(CodePointSet set) => set.Edges.Chunk(2).Sum(range => range[1] - range[0])
        - (set.Contains(0xD800) && CharUnicodeInfo.GetUnicodeCategory(0xD800) == UnicodeCategory.Surrogate ? 0x800 : 0);

    private static string Split(string pattern, string text)
    {
        var matches = new SplitCollector();
        new CodePointRegex(pattern).Find(text, matches);
        List<ReadOnlyMemory<char>> pieces = [];
        matches.Finish(text.AsMemory(), SplitBehavior.Isolated, invert: false, pieces);
        return string.Join('|', pieces);
    }
}

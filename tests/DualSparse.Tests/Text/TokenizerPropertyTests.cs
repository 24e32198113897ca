using CsCheck;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>What holds for every text.</summary>
public class TokenizerPropertyTests
{
    private static readonly Gen<string> s_character = Gen.OneOf(
        Gen.Char[' ', '~'].Select(c => c.ToString()),
        Gen.Char['\0', '\u024F'].Select(c => c.ToString()),
        Gen.Int[0x250, 0xD7FF].Select(char.ConvertFromUtf32),
        Gen.Int[0xE000, 0x10FFFF].Select(char.ConvertFromUtf32),
        Gen.OneOf(" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "é", "e\u0301", "한", "\u1100\u1161", "👩‍👩‍👧", "<s>", "<|endoftext|>", "<|", "𐐀", "𝟗", "▁"));

    private static readonly Gen<string> s_text = s_character.List[0, 60].Select(parts => string.Concat(parts));

    public static TheoryData<string> Kinds => TokenizerGoldenTests.Kinds;

    [Theory, MemberData(nameof(Kinds))]
    public void Text_of_any_kind_is_encoded_and_comes_back_the_same_in_pieces(string kind)
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load(kind);
        Gen.OneOf(s_text, Gen.String, Gen.Char['\uD700', '\uE100'].List[0, 20].Select(c => new string([.. c]))).Sample(
            text =>
            {
                int[] ids = tokenizer.Encode(text);
                Assert.All(ids, id => Assert.NotNull(tokenizer.TokenText(id)));
                Assert.Equal(tokenizer.Decode(ids), TokenizerGoldenTests.Stream(tokenizer, ids));
            },
            iter: 2000);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("o200k")]
    [InlineData("deepseek")]
    public void A_byte_level_text_comes_back(string kind)
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load(kind);
        Gen.Select(s_text, Gen.Bool).Sample(
            (text, allow) => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, allowSpecial: allow))), iter: 2000);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Untrusted_text_never_becomes_a_special_token(string kind)
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load(kind);
        s_text.Sample(
            text => Assert.DoesNotContain(tokenizer.Encode(text, addSpecial: false, allowSpecial: false), tokenizer.IsSpecial), iter: 1000);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Any_ids_decode_the_same_in_pieces(string kind)
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load(kind);
        Gen.Int[-2, tokenizer.VocabularySize + 2].Array[0, 50].Sample(
            ids => Assert.Equal(tokenizer.Decode(ids), TokenizerGoldenTests.Stream(tokenizer, ids)), iter: 1000);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_long_run_of_one_character_is_encoded(string kind)
    {
        Tokenizer tokenizer = TokenizerGoldenTests.Load(kind);
        foreach (char c in "a \n中")
        {
            string text = new(c, 200_000);
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, addSpecial: false)));
        }
    }

    [Fact]
    public void The_queue_merges_like_the_scan()
    {
        var merges = new MergeTable();
        for (int left = 0; left < 5; left++)
        {
            for (int right = 0; right < 5; right++)
            {
                // Three ids merge with each other in many ways; the ranks are in no order of the ids.
                merges.Add((left * 3) % 5, (right * 2) % 5, (left + (2 * right)) % 7);
            }
        }

        Gen.Int[0, 6].Array[49, 200].Sample(
            ids => Assert.Equal(Reference(merges, [.. ids]), ids[..MergeLoop.Run(merges, ids)]), iter: 500);
    }

    private static int[] Reference(MergeTable merges, List<int> ids)
    {
        while (true)
        {
            int best = -1;
            int bestRank = MergeTable.NoMerge;
            for (int i = 0; i + 1 < ids.Count; i++)
            {
                if (merges.Rank(ids[i], ids[i + 1]) < bestRank)
                {
                    (best, bestRank) = (i, merges.Rank(ids[i], ids[i + 1]));
                }
            }

            if (best < 0)
            {
                return [.. ids];
            }

            ids[best] = merges.Merged(bestRank);
            ids.RemoveAt(best + 1);
        }
    }
}

using System.Text;
using System.Text.Json;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>Ids and text of another implementation, for each kind of tokenizer.</summary>
public class TokenizerGoldenTests
{
    public static TheoryData<string> Kinds => ["gpt2", "qwen", "o200k", "deepseek", "sentencepiece"];

    [Theory, MemberData(nameof(Kinds))]
    public void Every_case_is_identical(string kind)
    {
        Tokenizer tokenizer = Load(kind);
        int cases = 0;
        foreach (string line in File.ReadLines(TestPaths.Golden("tokenizer", kind, "cases.jsonl")))
        {
            using var json = JsonDocument.Parse(line);
            string text = json.RootElement.GetProperty("text").GetString()!;
            int[] plain = Ids(json, "ids_plain");
            Assert.Equal(Ids(json, "ids"), tokenizer.Encode(text));
            Assert.Equal(plain, tokenizer.Encode(text, addSpecial: false));
            string decoded = json.RootElement.GetProperty("decoded").GetString()!;
            Assert.Equal(decoded, tokenizer.Decode(plain));
            Assert.Equal(decoded, Stream(tokenizer, plain));
            cases++;
        }

        Assert.Equal(104, cases);
    }

    [Fact]
    public void The_model_that_ships_has_its_tokenizer()
    {
        var tokenizer = Tokenizer.Load(TestPaths.InRepository("models", "olmoe-mini"));
        Assert.Equal(4096, tokenizer.VocabularySize);
        Assert.Equal(0, tokenizer.IdOf("<|endoftext|>"));
        Assert.True(tokenizer.IsSpecial(0));
        Assert.False(tokenizer.IsSpecial(1));
        Assert.Equal("!", tokenizer.TokenText(1));
        Assert.Null(tokenizer.TokenText(4096));
        Assert.Null(tokenizer.TokenText(-1));
        const string text = "The cat sat.<|endoftext|>";
        Assert.Equal(0, tokenizer.Encode(text)[^1]);
        Assert.DoesNotContain(0, tokenizer.Encode(text, allowSpecial: false));
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, allowSpecial: false)));
        Assert.Equal("The cat sat.", tokenizer.Decode(tokenizer.Encode(text), skipSpecial: true));
    }

    internal static Tokenizer Load(string kind) => Tokenizer.Load(TestPaths.Golden("tokenizer", kind));

    internal static string Stream(Tokenizer tokenizer, IEnumerable<int> ids)
    {
        var decoder = new StreamingDecoder(tokenizer);
        var text = new StringBuilder();
        foreach (int id in ids)
        {
            text.Append(decoder.Push(id));
        }

        return text.Append(decoder.Flush()).ToString();
    }

    private static int[] Ids(JsonDocument json, string name) =>
        [.. json.RootElement.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}

using DualSparse.Engine;

namespace DualSparse.Tests.Engine;

/// <summary>Experts that read an earlier representation: where they begin, and what of a drop holds for them.</summary>
public class ShortcutTests
{
    private static readonly int[] s_ids = [.. Enumerable.Range(3, 101)];

    [Theory]
    [InlineData("scmoe/top2", "A D | A B X E")]
    [InlineData("scmoe/shared_expert", "A D | A B X S E")]
    [InlineData("scmoe/pos1", "A D | B A X S E")]
    [InlineData("scmoe/pos2", "A B D A X S E")]
    [InlineData("scmoe/pos3", "B A D A X S E")]
    [InlineData("scmoe/dgmoe", "A B D A b X x E e")]
    public void Experts_begin_where_their_input_is_made(string model, string pair)
    {
        var groups = LayerProgram.Groups(DualSparse.Models.ModelConfig.Load(TestPaths.Golden(model)));
        Assert.Equal($"{pair} | {pair}", string.Join(" | ", groups.Select(group => string.Join(' ', group.Operators.Select(Letter)))));
        Assert.Equal([0, 1, 2, 3], groups.SelectMany(group => Enumerable.Range(group.First, group.Count)));

        static string Letter(Operator step)
        {
            string letter = step.Kind switch
            {
                OperatorKind.Attention => "A",
                OperatorKind.Dense => "D",
                OperatorKind.BeginExperts => "B",
                OperatorKind.Experts => "X",
                OperatorKind.Shared => "S",
                _ => "E",
            };
            return step.Branch > 0 ? letter.ToLowerInvariant() : letter;
        }
    }

    // Thresholds that move with the text, of tokens routed once or twice.
    [Theory]
    [InlineData("scmoe/pos2")]
    [InlineData("scmoe/scmoe2")]
    [InlineData("scmoe/pos3")]
    [InlineData("scmoe/dgmoe")]
    public void A_followed_rate_depends_on_no_cut_of_the_text(string family)
    {
        using var model = Transformer.Load(TestPaths.Golden(family), new EngineOptions { Threads = 2 });
        var (whole, rate) = Run(s_ids.Length);
        Assert.InRange(rate, 0.1, 0.3);
        foreach (int chunk in new[] { 1, 7, 64 })
            Assert.Equal(whole, Run(chunk).Logits);

        (float[] Logits, double Rate) Run(int chunk)
        {
            using var cache = model.NewCache(s_ids.Length);
            var text = model.NewText(new DropRequest { Rate = 0.2 });
            List<float> logits = [];
            foreach (int[] ids in s_ids.Chunk(chunk))
                logits.AddRange(model.Forward(cache, ids, LogitRows.All, text));
            return ([.. logits], text.Counts.Rate);
        }
    }
}

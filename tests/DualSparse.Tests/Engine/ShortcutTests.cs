using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

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

    // The sequential run is the program's own order.
    [Theory]
    [InlineData("scmoe/shared_expert", WeightFormat.F32)]
    [InlineData("scmoe/pos1", WeightFormat.Bf16)]
    [InlineData("scmoe/pos2_cg1", WeightFormat.Int8)]
    [InlineData("scmoe/pos2_cg2", WeightFormat.F32)]
    [InlineData("scmoe/pos3", WeightFormat.Int4)]
    [InlineData("scmoe/scmoe2", WeightFormat.Bf16)]
    [InlineData("scmoe/dgmoe", WeightFormat.F32)]
    public unsafe void Wherever_experts_compute_the_bits_are_those_of_the_sequential_run(string family, WeightFormat weights)
    {
        using var checkpoint = Checkpoint.Open(TestPaths.Golden(family));
        using var team = new ThreadTeam(2);
        using var work = new Workspace(team, KernelSet.Best());
        // As two ranks would add up.
        var loader = new ModelLoader(checkpoint, new EngineOptions { Weights = weights, Placement = (_, experts) => ExpertPlacement.Blocks(2, experts) }, team);
        var layers = Enumerable.Range(0, checkpoint.Config.Layers).Select(loader.LoadLayer).ToArray();
        using var pass = new Pass(checkpoint.Config, work);
        using var cache = new KvCache(checkpoint.Config, weights, s_ids.Length);
        KvCache.Reserve([new SequenceChunk(cache, s_ids)]);
        var groups = LayerProgram.Groups(checkpoint.Config);
        float[] expected = Run(LayerProgram.Of(checkpoint.Config));
        Assert.All(expected, value => Assert.True(float.IsFinite(value)));
        var orders = groups.Select(group => SlotChoice.Orders(group.Operators)).ToArray();
        Assert.True(orders[^1].Count > 1);
        for (int choice = 0; choice < orders[^1].Count; choice++)
            Assert.Equal(expected, Run([.. orders.SelectMany(of => of[choice % of.Count])]));
        Array.ForEach(layers, layer => layer.Dispose());

        float[] Run(Operator[] program)
        {
            pass.Begin([new Segment(cache, 0, s_ids.Length)], watch: null);
            var x = new Span<float>(pass.Stream(0), s_ids.Length * checkpoint.Config.HiddenSize);
            var random = new Random(1);
            foreach (ref float value in x)
                value = random.NextSingle() * 2 - 1;
            LayerProgram.Run(program, l => layers[l], pass, TestContext.Current.CancellationToken);
            return x.ToArray();
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

using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Whole models under a drop rule: what is dropped, counted, and never read.</summary>
public class DropTests
{
    private static readonly int[] s_ids = [.. Enumerable.Range(3, 37)];

    public static TheoryData<string> Families => ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2", "scmoe/top2", "scmoe/scmoe2"];

    [Theory]
    [MemberData(nameof(Families))]
    public void Thresholds_of_zero_change_no_bit(string family)
    {
        using var plain = Load(family, new EngineOptions());
        float[] expected = Run(plain);
        foreach (var request in new[] { DropRequest.None, Rule(0, 0) with { Guard = false }, new DropRequest { Layers = [.. Enumerable.Repeat(new LayerThresholds(default), plain.Config.Layers)] } })
        {
            var text = plain.NewText(request);
            Assert.Equal(expected, Run(plain, text));
            Assert.Equal((0, 0, 0), (text.Counts.Dropped, text.Counts.MajorOnly, text.Counts.Rate));
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Counts_are_the_rows_that_the_plans_leave(string family)
    {
        using var model = Load(family, new EngineOptions());
        foreach (bool guard in new[] { true, false })
        {
            var (major, minor) = Middle(model);
            var text = model.NewText(Rule(major, minor) with { Guard = guard });
            var routings = new Routings();
            Run(model, text, routings.Watch);
            Assert.Equal(model.Config.LayerPlan.Count(l => l.IsMoe), routings.Layers.Count);
            foreach (var (l, plan) in routings.Layers)
            {
                var experts = model.Layers[l].Moe!.Experts;
                var (pairs, dropped, majorOnly, neurons, computed) = text.Layers[l];
                var kinds = plan.Computations.ToArray();
                var batch = new ExpertBatch();
                RowLists.Build(plan, ExpertPlacement.SingleRank(experts.Count), 0, batch);
                Assert.Equal(kinds.Length, pairs);
                Assert.Equal(kinds.Count(k => k == Computation.Drop), dropped);
                Assert.Equal(kinds.Count(k => k == Computation.Major), majorOnly);
                Assert.Equal(batch.Tokens.Count, pairs - dropped);
                int f = experts.Neurons.Neurons;
                Assert.Equal(pairs * f, neurons);
                Assert.Equal(batch.Experts.Sum(e => e.Full * f + (e.Count - e.Full) * ((f + 1) / 2)), computed);
                for (int i = 0; i < kinds.Length; i++)
                    Assert.Equal(Expected(plan.Scores[i], major, minor, guard && i % plan.TopK == 0), kinds[i]);
            }

            Assert.True(text.Counts.Dropped > 0 && text.Counts.MajorOnly > 0);
            Assert.Equal(1 - (double)text.Counts.NeuronsComputed / text.Counts.Neurons, text.Counts.Rate);
        }
    }

    [Fact]
    public void Equal_thresholds_leave_no_halves_but_the_guards()
    {
        using var model = Load("olmoe", new EngineOptions());
        var text = model.NewText(Rule(0.25f, 0.25f) with { Guard = false });
        Run(model, text);
        Assert.Equal(0, text.Counts.MajorOnly);
        Assert.True(text.Counts.Dropped > 0);

        // Below the highest threshold there is, the guard keeps each token's best major half and nothing else.
        text = model.NewText(Rule(1, 1));
        Run(model, text);
        long tokens = s_ids.Length * model.Config.Layers;
        Assert.Equal((tokens, text.Counts.Pairs - tokens), (text.Counts.MajorOnly, text.Counts.Dropped));
    }

    [Fact]
    public void Each_layer_has_its_own_thresholds()
    {
        using var model = Load("olmoe", new EngineOptions());
        var text = model.NewText(new DropRequest { Layers = [new(default), .. Enumerable.Repeat(new LayerThresholds(new(1, 1)), model.Config.Layers - 1)] });
        Run(model, text);
        Assert.Equal(0, text.Layers[0].Rate);
        Assert.All(text.Layers.Skip(1), layer => Assert.True(layer.Rate > 0.5));
    }

    [Fact]
    public void A_rule_that_makes_no_sense_is_refused()
    {
        using var model = Load("olmoe", new EngineOptions());
        foreach (var rule in new[] { Rule(0.2f, 0.1f), Rule(-0.1f, 0.1f), Rule(0.1f, float.NaN), Rule(0.1f, 1.5f), new DropRequest { Layers = [new(default)] } })
            Assert.Throws<ArgumentException>(() => model.Plan(rule));
        Assert.Throws<ArgumentException>(() => Load("olmoe", new EngineOptions { Drop = Rule(0.2f, 0.1f) }));
    }

    // All bits set are a NaN in f32 and bf16, and in the scales of int8 and int4.
    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void What_is_dropped_is_not_read(WeightFormat weights)
    {
        using var model = Load("olmoe", new EngineOptions { Weights = weights });
        var (major, minor) = Middle(model, tokens: 1);
        var plan = model.Plan(Rule(major, minor));
        using var cache = model.NewCache(8);
        var routings = new Routings();
        float[] expected = model.Forward(cache, s_ids.AsSpan(0, 1), drop: model.NewText(plan), watch: routings.Watch).ToArray();
        int poisoned = routings.Layers.Sum(l => Poison(model.Layers[l.Key].Moe!, l.Value));
        Assert.True(poisoned > 0);
        using var again = model.NewCache(8);
        Assert.Equal(expected, model.Forward(again, s_ids.AsSpan(0, 1), drop: model.NewText(plan)).ToArray());
        Assert.DoesNotContain(expected, float.IsNaN);
    }

    // Poisons every expert that the last token dropped, and the minor half's neurons of those it took half of.
    private static unsafe int Poison(MoeLayer layer, RoutingPlan plan)
    {
        int halves = 0;
        for (int e = 0; e < layer.Experts.Count; e++)
        {
            int place = plan.Experts.IndexOf(e);
            var kind = place < 0 ? Computation.Drop : plan.Computations[place];
            if (kind == Computation.Full)
                continue;
            var gateUp = layer.Experts.GateUp(e);
            int first = kind == Computation.Drop ? 0 : layer.Experts.Neurons.MajorPadded / NeuronLayout.PerPanel;
            for (int p = first; p < gateUp.PanelCount; p++)
                new Span<byte>(gateUp.Panel(p), (int)gateUp.PanelBytes).Fill(0xff);
            var down = layer.Experts.Down(e);
            // In f32 and bf16 a prefix of the inputs is a prefix of the panel, to the byte.
            bool plain = layer.Experts.Format is WeightFormat.F32 or WeightFormat.Bf16;
            int read = kind == Computation.Drop ? 0
                : plain ? (int)down.PanelBytes / layer.Experts.Neurons.Padded * layer.Experts.Neurons.MajorPadded
                : (int)down.PanelBytes;
            for (int p = 0; p < down.PanelCount; p++)
                new Span<byte>(down.Panel(p), (int)down.PanelBytes)[read..].Fill(0xff);
            halves++;
        }

        return halves;
    }

    private static Computation Expected(float score, float major, float minor, bool kept)
    {
        if (score >= minor)
            return Computation.Full;
        return score >= major || kept ? Computation.Major : Computation.Drop;
    }

    // Thresholds with a third of the scores below, a third between and a third above them.
    private static (float Major, float Minor) Middle(Transformer model, int tokens = 37)
    {
        using var cache = model.NewCache(64);
        var routings = new Routings();
        model.Forward(cache, s_ids.AsSpan(0, tokens), LogitRows.None, watch: routings.Watch);
        float[] scores = [.. routings.Layers.Values.SelectMany(plan => plan.Scores.ToArray()).Order()];
        return (scores[scores.Length / 3], scores[scores.Length * 2 / 3]);
    }

    private static DropRequest Rule(float major, float minor) => new() { Thresholds = new DropThresholds(major, minor) };

    private static Transformer Load(string family, EngineOptions options) => Transformer.Load(TestPaths.Golden(family), options);

    private static float[] Run(Transformer model, TextDrop? drop = null, PassWatch? watch = null)
    {
        using var cache = model.NewCache(64);
        return model.Forward(cache, s_ids, LogitRows.All, drop, watch).ToArray();
    }
}

using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>What a drop can be decided on, beside the paper's global thresholds.</summary>
public class DropRequestTests
{
    private static readonly int[] s_ids = [.. Enumerable.Range(3, 37)];

    [Fact]
    public void Scores_are_their_formulas()
    {
        int[] experts = [2, 0, 1];
        float[] weights = [0.4f, 0.3f, 0.1f], normalised = [0.5f, 0.375f, 0.125f], norms = [1, 8, 0.5f];
        Assert.Equal(normalised, Of(DropScore.Gate));
        Assert.Equal(weights, Of(DropScore.Weight));
        // 0.4·0.5, 0.3·1, 0.1·8 over their sum, 1.3.
        float[] contributions = Of(DropScore.Contribution);
        Assert.Equal([0.2f / 1.3f, 0.3f / 1.3f, 0.8f / 1.3f], contributions, (a, b) => Math.Abs(a - b) < 1e-6f);
        Assert.Equal([1, 0.75f, 0.25f], Of(DropScore.RelativeToBest));
        Assert.Equal([1, 2 / 3f, 1 / 3f], Of(DropScore.Rank), (a, b) => Math.Abs(a - b) < 1e-6f);

        float[] Of(DropScore kind)
        {
            var scores = new float[3];
            DropScores.Of(kind, experts, weights, normalised, norms, scores);
            return scores;
        }
    }

    [Fact]
    public void Each_expert_has_its_own_thresholds()
    {
        using var model = Load();
        var experts = Enumerable.Range(0, model.Config.Moe!.Experts).Select(e => e % 2 == 0 ? default : new DropThresholds(2, 2)).ToArray();
        var routings = new Routings();
        Run(model, model.NewText(new DropRequest { Guard = false, Layers = [.. Enumerable.Repeat(new LayerThresholds(default, experts), model.Config.Layers)] }), routings.Watch);
        foreach (var routing in routings.Layers.Values)
        {
            for (int i = 0; i < routing.Experts.Length; i++)
                Assert.Equal(routing.Experts[i] % 2 == 0 ? Computation.Full : Computation.Drop, routing.Computations[i]);
        }
    }

    [Fact]
    public void A_smaller_top_k_keeps_the_best()
    {
        using var model = Load();
        var text = model.NewText(new DropRequest { Score = DropScore.Rank, Thresholds = new DropThresholds(0.5f, 0.5f) });
        Run(model, text);
        Assert.Equal(0.25, text.Counts.Rate); // ranks 1, .75, .5 of four stay
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.25)]
    [InlineData(0.5)]
    public void A_rate_is_met_on_text_not_seen_before(double rate)
    {
        using var model = Transformer.Load(TestPaths.Model, new EngineOptions { Drop = new DropRequest { Rate = rate } });
        using var file = SafetensorsFile.Open(TestPaths.Golden("eval", "windows.safetensors"));
        int[] ids = [.. file.Get("tech.input_ids").ReadInt64s().Take(1024).Select(id => (int)id)];
        var counts = default(DropCounts);
        foreach (int[] window in ids.Chunk(512))
        {
            using var cache = model.NewCache(512);
            var text = model.NewText();
            foreach (int[] chunk in window.Chunk(100))
                model.Forward(cache, chunk, LogitRows.None, text);
            counts += text.Counts;
        }

        Assert.InRange(counts.Rate, rate - 0.02, rate + 0.02);
    }

    [Fact]
    public void Generated_tokens_may_have_a_rule_of_their_own()
    {
        using var model = Load();
        var text = model.NewText(new DropRequest { Generated = new DropRequest { Thresholds = new DropThresholds(1, 1) } });
        using var cache = model.NewCache(64);
        model.Forward(cache, s_ids, drop: text);
        Assert.Equal(0, text.Counts.Dropped);
        model.Forward([new SequenceChunk(cache, s_ids.AsMemory(0, 1), LogitRows.Last, Generated: true, text)]);
        Assert.Equal(model.Config.Layers * (model.Config.Moe!.TopK - 1), text.Counts.Dropped);
    }

    // Each expert has a mean of its own, so that a sum tells which were added.
    [Fact]
    public void What_is_dropped_is_compensated_by_its_mean()
    {
        using var model = Load();
        int hidden = model.Config.HiddenSize, experts = model.Config.Moe!.Experts;
        float[] expected = Run(model);
        var whole = Enumerable.Range(0, experts * hidden).Select(i => i / hidden + 1f).ToArray();
        var minor = whole.Select(v => -v).ToArray();
        Compensation[] means = [.. Enumerable.Range(0, model.Config.Layers).Select(_ => new Compensation(hidden, whole, minor))];
        var routings = new Routings();
        // Nothing dropped, nothing left behind.
        Assert.Equal(expected, Run(model, model.NewText(model.Plan(DropRequest.None with { Compensate = true }, means)), routings.Watch));

        var plan = routings.Layers[0];
        DropPolicy.Apply(plan, LayerRule.Of(new DropRequest { Thresholds = new DropThresholds(0.2f, 0.3f) }, 0, experts));
        float[] y = new float[plan.Tokens * hidden];
        using var team = new DualSparse.Kernels.Threading.ThreadTeam(2);
        Add(team, means[0], plan, y);
        for (int t = 0; t < plan.Tokens; t++)
        {
            float sum = 0;
            for (int i = t * plan.TopK; i < (t + 1) * plan.TopK; i++)
                sum += plan.Computations[i] switch { Computation.Drop => 1, Computation.Major => -1, _ => 0 } * plan.Weights[i] * (plan.Experts[i] + 1);
            Assert.InRange(y[t * hidden + t % hidden], sum - 1e-4f, sum + 1e-4f);
        }
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Prompt_and_generated_tokens_are_compensated_each_by_its_rule(bool prompt, bool generation)
    {
        using var model = Load();
        int hidden = model.Config.HiddenSize;
        float[] ones = [.. Enumerable.Repeat(1f, model.Config.Moe!.Experts * hidden)];
        Compensation[] means = [.. Enumerable.Range(0, model.Config.Layers).Select(_ => new Compensation(hidden, ones, ones))];
        var rule = new DropRequest { Thresholds = new DropThresholds(0.2f, 0.3f) };
        var (plain, with) = (Pass(false, false), Pass(prompt, generation));
        Assert.Equal(prompt, !plain.Prompt.SequenceEqual(with.Prompt));
        Assert.Equal(generation, !plain.Generated.SequenceEqual(with.Generated));

        // Two sequences in a pass, so that neither sees the other's.
        (float[] Prompt, float[] Generated) Pass(bool prompt, bool generation)
        {
            var plan = model.Plan(rule with { Compensate = prompt, Generated = rule with { Compensate = generation } }, means);
            using KvCache first = model.NewCache(64), second = model.NewCache(64);
            float[] logits = model.Forward(
            [
                new SequenceChunk(first, s_ids, Drop: model.NewText(plan)),
                new SequenceChunk(second, s_ids.AsMemory(0, 1), Generated: true, Drop: model.NewText(plan)),
            ]).ToArray();
            return (logits[..model.Config.VocabSize], logits[model.Config.VocabSize..]);
        }
    }

    [Fact]
    public void Means_come_back_from_their_file()
    {
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(TestPaths.Golden("olmoe")))
            File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        using (var model = Transformer.Load(folder.Path))
        {
            var error = Assert.Throws<DualSparse.Models.ModelFormatException>(() => model.Plan(new DropRequest { Compensate = true }));
            Assert.Contains(CompensationFile.FileName, error.Message);
            int size = model.Config.HiddenSize * model.Config.Moe!.Experts;
            float[] values = [.. Enumerable.Range(0, size).Select(i => (float)i)];
            CompensationFile.Write(folder.Path, [.. Enumerable.Range(0, model.Config.Layers).Select(_ => new Compensation(model.Config.HiddenSize, values, values))], model.Config.HiddenSize);
        }

        using var again = Transformer.Load(folder.Path, new EngineOptions { Drop = new DropRequest { Compensate = true } });
        Assert.Equal(5, again.Plan(new DropRequest { Compensate = true, Thresholds = new(0.1f, 0.1f) }).Means(again.Config.Layers - 1, generated: false)!.Minor[5]);
    }

    private static unsafe void Add(DualSparse.Kernels.Threading.ThreadTeam team, Compensation means, RoutingPlan plan, float[] sums)
    {
        fixed (float* y = sums)
            means.Add(team, plan, 0, plan.Tokens, y);
    }

    private static Transformer Load() => Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Weights = WeightFormat.F32 });

    private static float[] Run(Transformer model, TextDrop? drop = null, PassWatch? watch = null)
    {
        using var cache = model.NewCache(64);
        return model.Forward(cache, s_ids, LogitRows.All, drop, watch).ToArray();
    }
}

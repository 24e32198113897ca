using CsCheck;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Thresholds that move with a text's scores until a drop rate is met.</summary>
public class RateFollowerTests
{
    private const int TopK = 8, Layers = 2, Experts = 16;

    private static readonly DropMethod s_method = new("made up", DropScore.Gate, Compensate: false, null,
    [
        Point(0.25, 0.05f, 0.002),
        Point(0.5, 0.10f, 0.02),
        Point(0.75, 0.16f, 0.2),
    ]);

    private static readonly FollowedMethod s_followed = new(s_method, [.. Enumerable.Repeat(true, Layers)]);

    [Fact]
    public void A_half_is_dropped_above_its_quantile() => Gen.Select(Gen.Float[0, 0.3f], Gen.Double[0, 1]).Sample((score, rate) =>
    {
        var curve = new RateCurve(s_method, 0);
        var at = curve.At(rate);
        if (Math.Abs(score - at.Minor) > 1e-6)
            Assert.Equal(score < at.Minor, rate > curve.MinorQuantile(score));
        if (Math.Abs(score - at.Major) > 1e-6)
            Assert.Equal(score < at.Major, rate > curve.MajorQuantile(score));
    });

    [Fact]
    public void Thresholds_start_at_the_profiles_and_meet_the_rate_of_another_text()
    {
        LayerRule[] rules = [.. Enumerable.Range(0, Layers).Select(l => LayerRule.Of(new DropRequest(), s_followed.LayerRates(0.3), s_followed, l, Experts)!)];
        var follower = new RateFollower(s_followed);
        // Nothing seen: the profile's own, a fifth of the way from its first point to its second.
        Near(new DropThresholds(0.06f * 0.9f, 0.06f * 1.1f), follower.Next(rules[0], [0], [0.3f])[0], 1e-4f);

        // Lower scores than the calibration's: with the profile's thresholds far more would go.
        long dropped = 0, halves = 0;
        var random = new Random(5);
        for (int pass = 0; pass < 100; pass++)
        {
            var plan = Plan(random, 32, 0.4f);
            for (int l = 0; l < Layers; l++)
            {
                DropPolicy.Apply(plan, 0, plan.Tokens, rules[l], rules[l], follower);
                if (pass == 0 && l == 0)
                    Assert.True(Left(plan) > 1.3 * 0.3 * 2 * plan.Computations.Length);
                dropped += Left(plan);
                halves += 2 * plan.Computations.Length;
            }

            follower.Commit(plan.Tokens);
        }

        Assert.InRange((double)dropped / halves, 0.29, 0.315);
        // Lower thresholds than the profile's for the rate, so a smaller loss.
        Assert.InRange(follower.Expected!.Kl.Value, 0, 0.0025);
    }

    [Fact]
    public void A_text_meets_its_rate_on_any_number_of_threads_and_in_any_batch()
    {
        int[] ids = [.. Enumerable.Range(3, 60)], other = [.. Enumerable.Range(100, 60)];
        var rule = new DropRequest { Rate = 0.3 };
        float[] expected = Run(1, ids);
        Assert.Equal(expected, Run(2, ids));
        using var model = Load(2, rule);
        using var cache = model.NewCache(64);
        using var beside = model.NewCache(64);
        Assert.Equal(expected, model.Forward([new SequenceChunk(beside, other, LogitRows.None, Drop: model.NewText()), new SequenceChunk(cache, ids, LogitRows.All, Drop: model.NewText())]).ToArray());
        // What another text made the model see doesn't matter to this one.
        using var later = model.NewCache(64);
        Assert.Equal(expected, model.Forward(later, ids, LogitRows.All, model.NewText()).ToArray());

        float[] Run(int threads, int[] ids)
        {
            using var model = Load(threads, rule);
            using var cache = model.NewCache(64);
            return model.Forward(cache, ids, LogitRows.All, model.NewText()).ToArray();
        }
    }

    // Thresholds move at fixed positions of a text: where it is cut into passes changes nothing.
    [Fact]
    public void Chunks_change_no_bit()
    {
        int[] ids = [.. Enumerable.Range(3, 200)];
        using var model = Load(2, new DropRequest { Rate = 0.3 });
        float[] whole = Run(200);
        foreach (int chunk in new[] { 1, 7, 64, 100 })
            Assert.Equal(whole, Run(chunk));

        float[] Run(int chunk)
        {
            using var cache = model.NewCache(256);
            var text = model.NewText();
            List<float> logits = [];
            foreach (int[] part in ids.Chunk(chunk))
                logits.AddRange(model.Forward(cache, part, LogitRows.All, text));
            return [.. logits];
        }
    }

    // From any position on, not only from one at which thresholds move.
    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(130)]
    public void What_is_taken_back_and_computed_again_is_computed_the_same(int keep)
    {
        int[] ids = [.. Enumerable.Range(3, 200)];
        using var model = Load(2, new DropRequest { Rate = 0.3 });
        using var cache = model.NewCache(256);
        var text = model.NewText();
        float[] expected = model.Forward(cache, ids, LogitRows.All, text).ToArray();
        cache.Truncate(keep);
        text.Truncate(keep);
        model.Forward(cache, [.. Enumerable.Range(260, 50)], LogitRows.None, text);
        cache.Truncate(keep);
        text.Truncate(keep);
        Assert.Equal(expected[(keep * model.Config.VocabSize)..], model.Forward(cache, ids.AsSpan(keep), LogitRows.All, text).ToArray());
    }

    [Fact]
    public void Parts_of_one_text_share_what_was_seen()
    {
        using var model = Load(2, new DropRequest { Rate = 0.3 });
        int[] ids = [.. Enumerable.Range(3, 60)];
        int[] before = [.. Enumerable.Range(200, 60)];
        var text = model.NewText();
        using KvCache first = model.NewCache(64), second = model.NewCache(64), alone = model.NewCache(64), beside = model.NewCache(64);
        model.Forward(first, before, LogitRows.None, text);
        float[] together = model.Forward(second, ids, drop: text).ToArray();
        Assert.NotEqual(together, model.Forward(alone, ids, drop: model.NewText()).ToArray());
        Assert.Equal(120, text.Followed);

        // Parts side by side begin with what the text has seen, and it has seen them when they have joined.
        var whole = model.NewText();
        using KvCache again = model.NewCache(64), third = model.NewCache(64);
        model.Forward(again, before, LogitRows.None, whole);
        TextDrop[] parts = [whole.Part(), whole.Part()];
        model.Forward([new SequenceChunk(beside, ids, Drop: parts[0]), new SequenceChunk(third, before, Drop: parts[1])]);
        Assert.Equal(60, whole.Followed);
        Array.ForEach(parts, whole.Join);
        Assert.Throws<InvalidOperationException>(() => parts[0].Part());
        Assert.Equal((180, model.Config.Layers * 180L * model.Config.Moe!.TopK), (whole.Followed, whole.Counts.Pairs));
    }

    [Fact]
    public void Prompt_and_generated_tokens_have_a_rate_each()
    {
        using var model = Load(2, new DropRequest { Rate = 0.1, Generated = new DropRequest { Rate = 0.6 } });
        using var cache = model.NewCache(256);
        var text = model.NewText();
        model.Forward(cache, [.. Enumerable.Range(3, 120)], LogitRows.None, text);
        Assert.InRange(text.Counts.Rate, 0.05, 0.15);
        var prompt = text.Counts;
        for (int t = 0; t < 100; t++)
            model.Forward([new SequenceChunk(cache, new[] { 5 + t }, LogitRows.Last, Generated: true, text)]);
        Assert.InRange(1 - (double)(text.Counts.NeuronsComputed - prompt.NeuronsComputed) / (text.Counts.Neurons - prompt.Neurons), 0.55, 0.65);
        foreach (var other in new DropRequest[] { new() { Rate = 0.6, Delta = 0.02f }, new() { Rate = 0.6, Guard = false } })
        {
            var error = Assert.Throws<ArgumentException>(() => model.Plan(new DropRequest { Rate = 0.1, Generated = other }));
            Assert.Contains("give both the same method", error.Message);
        }
    }

    [Fact]
    public void A_session_that_starts_again_is_a_new_text()
    {
        using var model = MoeModel.Load(TestPaths.Model, new EngineOptions { Drop = new DropRequest { Rate = 0.4 } });
        using var session = model.NewSession();
        var options = new DualSparse.Engine.Serving.GenerationOptions { MaxTokens = 24 };
        string first = session.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd();
        session.Truncate(0);
        Assert.Equal(first, session.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd());
        using var other = model.NewSession();
        Assert.Equal(first, other.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd());
        Assert.Null(session.Expected); // this model's folder says nothing of a loss
    }

    private static long Left(RoutingPlan plan)
    {
        long halves = 0;
        foreach (var computation in plan.Computations)
            halves += computation switch { Computation.Drop => 2, Computation.Major => 1, _ => 0 };
        return halves;
    }

    private static DropPoint Point(double rate, float threshold, double kl)
    {
        var (thresholds, figure) = (new DropThresholds(threshold * 0.9f, threshold * 1.1f), new Interval(kl, kl, kl));
        return new DropPoint(rate, rate, [.. Enumerable.Repeat(thresholds, Layers)], new ExpectedLoss(figure, figure, figure), [.. Enumerable.Repeat(rate, Layers)]);
    }

    // Scores that fall off from each token's best, times a factor.
    private static RoutingPlan Plan(Random random, int tokens, float factor)
    {
        var plan = new RoutingPlan();
        plan.Reset(tokens, TopK);
        for (int i = 0; i < tokens * TopK; i++)
            (plan.Experts[i], plan.Scores[i]) = (i % Experts, factor * (0.3f - 0.035f * (i % TopK)) * (0.5f + random.NextSingle()));
        return plan;
    }

    private static void Near(DropThresholds expected, DropThresholds found, float tolerance)
    {
        Assert.Equal(expected.Major, found.Major, tolerance);
        Assert.Equal(expected.Minor, found.Minor, tolerance);
    }

    private static Transformer Load(int threads, DropRequest rule) =>
        Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Weights = WeightFormat.F32, Threads = threads, Drop = rule });

    [Fact]
    public void A_layer_that_leaves_nothing_out_counts_in_the_rate()
    {
        DropPoint Only(double drop, float threshold) => new(drop, drop, [new(threshold, threshold), DropThresholds.None], null, [2 * drop, 0]);
        var method = new DropMethod("one layer", DropScore.Gate, Compensate: false, null, [Only(0.2, 0.1f), Only(0.4, 0.2f)]);
        var followed = new FollowedMethod(method, [true, true]);
        Assert.Null(LayerRule.Of(new DropRequest(), followed.LayerRates(0.2), followed, 1, Experts));
        var rule = LayerRule.Of(new DropRequest(), followed.LayerRates(0.2), followed, 0, Experts)!;
        // Two fifths of the one layer's work are a fifth of both layers'.
        Assert.Equal(0.4, rule.Rate, 1e-3);
        Assert.Equal(0.1, new RateFollower(followed).Next(rule, [0], [0.3f])[0].Major, 1e-3);
    }
}

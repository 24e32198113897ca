using CsCheck;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Thresholds that move with a text's scores until a drop rate is met.</summary>
public class RateFollowerTests
{
    private const int TopK = 8, Layers = 2;

    private static readonly DropMethod s_method = new("made up", DropScore.Gate, Compensate: false, null,
    [
        Point(0.25, 0.05f, 0.002),
        Point(0.5, 0.10f, 0.02),
        Point(0.75, 0.16f, 0.2),
    ]);

    [Fact]
    public void A_half_is_left_out_beyond_its_place() => Gen.Select(Gen.Float[0, 0.3f], Gen.Double[0, 1]).Sample((score, place) =>
    {
        var curve = new RateCurve(s_method, 0);
        var at = curve.At(place);
        if (Math.Abs(score - at.Minor) > 1e-6)
            Assert.Equal(score < at.Minor, place > curve.MinorPlace(score));
        if (Math.Abs(score - at.Major) > 1e-6)
            Assert.Equal(score < at.Major, place > curve.MajorPlace(score));
    });

    [Fact]
    public void Thresholds_start_at_the_profiles_and_meet_the_rate_of_another_text()
    {
        var rule = Followed(0.3);
        var layer = LayerRule.Of(rule, 0, 16)!;
        var follower = new RateFollower(rule.Followed!);
        // Nothing seen: the profile's own, a fifth of the way from its first point to its second.
        Near(new DropThresholds(0.06f * 0.9f, 0.06f * 1.1f), follower.Thresholds(0, 0.3, 1, TopK), 1e-4f);
        Assert.Equal(0.002 * Math.Pow(10, 0.2), follower.Expected!.Kl.Value, 1e-4);

        // Lower scores than the calibration's: with the profile's thresholds far more would go.
        long dropped = 0, halves = 0;
        var random = new Random(5);
        for (int pass = 0; pass < 40; pass++)
        {
            var plan = Plan(random, 32, 0.4f);
            for (int l = 0; l < Layers; l++)
            {
                var own = LayerRule.Of(rule, l, 16)!;
                own.Show(follower, plan, 0, plan.Tokens);
                own.Follow(follower, plan.Tokens, TopK);
                DropPolicy.Apply(plan, own);
                foreach (var computation in plan.Computations)
                    dropped += computation switch { Computation.Drop => 2, Computation.Major => 1, _ => 0 };
                halves += 2 * plan.Computations.Length;
            }
        }

        Assert.InRange((double)dropped / halves, 0.29, 0.31);
        // Lower thresholds than the profile's for the rate, so a smaller loss.
        Assert.InRange(follower.Expected!.Kl.Value, 0, 0.0025);
    }

    [Fact]
    public void A_text_meets_its_rate_whatever_the_threads_and_the_company()
    {
        int[] ids = [.. Enumerable.Range(3, 60)], other = [.. Enumerable.Range(100, 60)];
        var rule = new DropRule { Rate = 0.3 };
        float[] expected = Run(1, ids);
        Assert.Equal(expected, Run(2, ids));
        using var model = Load(2, rule);
        using var cache = model.NewCache(64);
        using var beside = model.NewCache(64);
        Assert.Equal(expected, model.Forward([new SequenceChunk(beside, other, LogitRows.None), new SequenceChunk(cache, ids, LogitRows.All)]).ToArray());
        // What another text made the model see doesn't matter to this one.
        using var later = model.NewCache(64);
        Assert.Equal(expected, model.Forward(later, ids, LogitRows.All).ToArray());

        float[] Run(int threads, int[] ids)
        {
            using var model = Load(threads, rule);
            using var cache = model.NewCache(64);
            return model.Forward(cache, ids, LogitRows.All).ToArray();
        }
    }

    // Thresholds move between passes: where a text is cut decides which tokens meet which thresholds.
    [Fact]
    public void Chunks_matter_to_a_followed_rate_and_not_to_given_thresholds()
    {
        int[] ids = [.. Enumerable.Range(3, 60)];
        Assert.Equal(Run(new DropRule { Thresholds = new(0.2f, 0.3f) }, 60), Run(new DropRule { Thresholds = new(0.2f, 0.3f) }, 20));
        Assert.NotEqual(Run(new DropRule { Rate = 0.3 }, 60), Run(new DropRule { Rate = 0.3 }, 20));
        Assert.Equal(Run(new DropRule { Rate = 0.3 }, 20), Run(new DropRule { Rate = 0.3 }, 20));

        float[] Run(DropRule rule, int chunk)
        {
            using var model = Load(2, rule);
            using var cache = model.NewCache(64);
            float[] last = [];
            foreach (int[] part in ids.Chunk(chunk))
                last = model.Forward(cache, part).ToArray();
            return last;
        }
    }

    [Fact]
    public void Parts_of_one_text_share_what_was_seen()
    {
        using var model = Load(2, new DropRule { Rate = 0.3 });
        int[] ids = [.. Enumerable.Range(3, 60)];
        var follower = model.NewFollower();
        using KvCache first = model.NewCache(64), second = model.NewCache(64), alone = model.NewCache(64);
        (first.Follower, second.Follower) = (follower, follower);
        model.Forward(first, [.. Enumerable.Range(200, 60)], LogitRows.None);
        float[] together = model.Forward(second, ids).ToArray();
        Assert.NotEqual(together, model.Forward(alone, ids).ToArray());
        Assert.Same(follower, second.Follower);
        model.Drop = new DropRule { Thresholds = new(0.1f, 0.1f) };
        Assert.Null(model.NewFollower());
    }

    [Fact]
    public void Prompt_and_generated_tokens_have_a_rate_each()
    {
        using var model = Load(2, new DropRule { Rate = 0.1, Generation = new DropRule { Rate = 0.6 } });
        using var cache = model.NewCache(256);
        model.Forward(cache, [.. Enumerable.Range(3, 120)], LogitRows.None);
        Assert.InRange(model.Counts.Rate, 0.05, 0.15);
        model.ResetCounts();
        for (int t = 0; t < 100; t++)
            model.Forward([new SequenceChunk(cache, new[] { 5 + t }, LogitRows.Last, Generated: true)]);
        Assert.InRange(model.Counts.Rate, 0.55, 0.65);
        foreach (var other in new DropRule[] { new() { Rate = 0.6, Delta = 0.02f }, new() { Rate = 0.6, Guard = false } })
        {
            var error = Assert.Throws<ArgumentException>(() => model.Drop = new DropRule { Rate = 0.1, Generation = other });
            Assert.Contains("give both one method", error.Message);
        }
    }

    [Fact]
    public void A_session_that_starts_again_is_a_new_text()
    {
        using var model = MoeModel.Load(TestPaths.Model, new EngineOptions { Drop = new DropRule { Rate = 0.4 } });
        using var session = model.NewSession();
        var options = new DualSparse.Engine.Serving.GenerationOptions { MaxTokens = 24 };
        string first = session.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd();
        session.Truncate(0);
        Assert.Equal(first, session.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd());
        using var other = model.NewSession();
        Assert.Equal(first, other.Generate("Once upon a time there was", options, TestContext.Current.CancellationToken).ReadToEnd());
        Assert.Null(session.Expected); // this model's folder says nothing of a loss
    }

    private static DropRule Followed(double rate) =>
        new() { Rate = rate, Followed = new FollowedMethod(s_method, [.. Enumerable.Repeat(true, Layers)], ("", null, 0.01f)) };

    private static DropPoint Point(double rate, float threshold, double kl)
    {
        var (thresholds, figure) = (new DropThresholds(threshold * 0.9f, threshold * 1.1f), new Interval(kl, kl, kl));
        return new DropPoint(rate, rate, [.. Enumerable.Repeat(thresholds, Layers)], new LossToExpect(figure, figure, figure), [.. Enumerable.Repeat(rate, Layers)]);
    }

    // Scores that fall off from each token's best, times a factor.
    private static RoutingPlan Plan(Random random, int tokens, float factor)
    {
        var plan = new RoutingPlan();
        plan.Reset(tokens, TopK);
        for (int i = 0; i < tokens * TopK; i++)
            (plan.Experts[i], plan.Scores[i]) = (i % 16, factor * (0.3f - 0.035f * (i % TopK)) * (0.5f + random.NextSingle()));
        return plan;
    }

    private static void Near(DropThresholds expected, DropThresholds found, float tolerance)
    {
        Assert.Equal(expected.Major, found.Major, tolerance);
        Assert.Equal(expected.Minor, found.Minor, tolerance);
    }

    private static Transformer Load(int threads, DropRule rule) =>
        Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Weights = WeightFormat.F32, Threads = threads, Drop = rule });

    [Fact]
    public void A_layer_that_leaves_nothing_out_counts_in_the_rate()
    {
        DropPoint Only(double drop, float threshold) => new(drop, drop, [new(threshold, threshold), DropThresholds.None], null, [2 * drop, 0]);
        var method = new DropMethod("one layer", DropScore.Gate, Compensate: false, null, [Only(0.2, 0.1f), Only(0.4, 0.2f)]);
        var follower = new RateFollower(new FollowedMethod(method, [true, true], ("", null, 0)));
        // Two fifths of the one layer's work are a fifth of both layers'.
        Assert.Equal(0.1, follower.Thresholds(0, 0.2, 1, TopK).Major, 1e-3);
    }
}

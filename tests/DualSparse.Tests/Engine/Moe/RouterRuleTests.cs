using System.Runtime.InteropServices;
using CsCheck;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Tests.Engine.Moe;

public class RouterRuleTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(-120)]
    [InlineData(1e30f)]
    public void Only_differences_of_logits_count(float offset)
    {
        var moe = new MoeConfig { Experts = 4, TopK = 2, Intermediate = 1, NormTopK = true };
        float[] logits = [offset + 1, offset, offset - 20, offset - 25], weights = new float[2], normalised = new float[2];
        int[] experts = new int[2];
        float first = (float)(1 / (1 + Math.Exp(logits[1] - logits[0])));
        RouterRule.Choose(moe, logits, experts, weights, normalised);
        Assert.Equal([0, 1], experts);
        Assert.Equal(first, weights[0], 1e-5f);
        Assert.Equal(1, weights.Sum(), 1e-5f);
    }

    [Fact]
    public void A_choice_is_that_of_a_plain_scan() => s_rules.Sample(c =>
    {
        var logits = Logits(c.Config, tokens: 1, c.Kind, c.Seed);
        var (experts, weights, normalised) = Scan(c.Config, [.. logits]);
        int[] chosen = new int[c.Config.TopK];
        float[] given = new float[c.Config.TopK], scores = new float[c.Config.TopK];
        RouterRule.Choose(c.Config, logits, chosen, given, scores);
        return chosen.SequenceEqual(experts) && SameBits(given, weights) && SameBits(scores, normalised);
    });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_row_that_is_not_finite_chooses_no_expert_twice(float logit)
    {
        var moe = new MoeConfig { Experts = 40, TopK = 6, Intermediate = 1, NormTopK = true, Groups = 10, TopKGroups = 2 };
        float[] logits = new float[40], weights = new float[6], normalised = new float[6];
        logits[33] = logit;
        int[] experts = new int[6];
        RouterRule.Choose(moe, logits, experts, weights, normalised);
        Assert.Equal([0, 1, 2, 3, 4, 5], experts);
        Assert.All(weights, weight => Assert.True(float.IsNaN(weight)));
    }

    [Fact]
    public unsafe void Threads_and_the_other_tokens_change_no_bit() => (from c in s_rules from tokens in Gen.Int[0, 150] from threads in Gen.Int[1, 4] select (c, tokens, threads)).Sample(
        t =>
        {
            var (config, kind, seed) = t.c;
            var logits = Logits(config, t.tokens, kind, seed);
            float[] left = [.. logits];
            var plan = new RoutingPlan();
            plan.Reset(t.tokens, config.TopK);
            using (var team = new ThreadTeam(t.threads))
            {
                fixed (float* all = left)
                    RouterRule.Choose(team, config, all, plan);
            }

            for (int token = 0; token < t.tokens; token++)
            {
                var (experts, weights, normalised) = Scan(config, logits[(token * config.Experts)..((token + 1) * config.Experts)]);
                int first = token * config.TopK;
                if (!plan.Experts.Slice(first, config.TopK).SequenceEqual(experts)
                    || !SameBits(plan.Weights.Slice(first, config.TopK), weights)
                    || !SameBits(plan.Scores.Slice(first, config.TopK), normalised))
                    return false;
            }

            return true;
        },
        iter: 100);

    // A second routing by other rows: where it wouldn't meet the first's expert, nothing changes.
    [Fact]
    public void A_token_does_not_take_an_expert_again() => (from c in s_rules where c.Config.TopK < c.Config.Experts / c.Config.Groups && c.Kind != LogitKind.NaN from again in Gen.Int select (c, again)).Sample(t =>
    {
        var (config, kind, seed) = t.c;
        int avoid = (int)((uint)t.again % (uint)config.Experts);
        var logits = Logits(config, tokens: 1, kind == LogitKind.Forbidden ? LogitKind.Spread : kind, seed);
        var (experts, weights, _) = Scan(config, [.. logits]);
        int[] chosen = new int[config.TopK];
        float[] given = new float[config.TopK], scores = new float[config.TopK];
        RouterRule.Choose(config, logits, chosen, given, scores, avoid);
        return !chosen.Contains(avoid) && (config.Groups > 1 || experts.Contains(avoid)
            ? chosen.Distinct().Count() == config.TopK
            : chosen.SequenceEqual(experts) && SameBits(given, weights));
    });

    private enum LogitKind
    {
        Spread,
        Tied,
        Forbidden,
        NaN,
    }

    private static readonly int[] s_groupCounts = [1, 1, 2, 8, 70];

    private static readonly Gen<(MoeConfig Config, LogitKind Kind, int Seed)> s_rules =
        from groups in Gen.Int[0, 4].Select(i => s_groupCounts[i])
        from size in Gen.Int[1, groups == 70 ? 3 : 520 / groups]
        from topGroups in Gen.Int[1, groups]
        from topK in Gen.Int[1, Math.Min(12, size * (groups == 1 ? 1 : topGroups))]
        from renormalised in Gen.Bool
        from kind in Gen.Enum<LogitKind>()
        from seed in Gen.Int
        select (new MoeConfig
        {
            Experts = groups * size,
            TopK = topK,
            Intermediate = 1,
            NormTopK = renormalised,
            RoutedScale = 2.5f,
            Groups = groups,
            TopKGroups = groups == 1 ? 1 : topGroups,
        }, kind, seed);

    private static float[] Logits(MoeConfig config, int tokens, LogitKind kind, int seed)
    {
        var random = new Random(seed);
        var logits = new float[tokens * config.Experts];
        foreach (ref float logit in logits.AsSpan())
        {
            logit = kind switch
            {
                LogitKind.Tied => random.Next(4),
                LogitKind.Forbidden when random.Next(3) > 0 => float.NegativeInfinity,
                LogitKind.NaN when random.Next(20) == 0 => float.NaN,
                _ => 16 * random.NextSingle() - 8,
            };
        }

        return logits;
    }

    // The definition, one expert after the other.
    private static (int[] Experts, float[] Weights, float[] Normalised) Scan(MoeConfig config, float[] scores)
    {
        Softmax.Forward(scores, scores);
        int size = config.Experts / config.Groups;
        var open = Enumerable.Range(0, config.Groups)
            .OrderByDescending(g => scores.Skip(g * size).Take(size).Any(float.IsNaN) ? double.NaN : scores.Skip(g * size).Take(size).Max())
            .Take(config.TopKGroups).ToHashSet();
        int[] experts = [.. Enumerable.Range(0, config.Experts).Where(e => open.Contains(e / size)).OrderByDescending(e => scores[e]).Take(config.TopK)];
        float sum = 0;
        foreach (int e in experts)
            sum += scores[e];
        float scale = config.RoutedScale / (config.NormTopK ? sum : 1);
        return (experts, [.. experts.Select(e => scores[e] * scale)], [.. experts.Select(e => config.TopK == 1 ? scores[e] : scores[e] / sum)]);
    }

    private static bool SameBits(ReadOnlySpan<float> a, ReadOnlySpan<float> b) =>
        MemoryMarshal.Cast<float, int>(a).SequenceEqual(MemoryMarshal.Cast<float, int>(b));
}

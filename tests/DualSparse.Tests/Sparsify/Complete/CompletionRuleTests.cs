using CsCheck;
using DualSparse.Sparsify.Complete;

namespace DualSparse.Tests.Sparsify.Complete;

/// <summary>The complete transformation's rule: exact for every router, by small reference routers in double precision.</summary>
public class CompletionRuleTests
{
    private const int Hidden = 5;

    // Every combination that some router has; sizes small enough that all of them occur often.
    private static readonly Gen<(RouterKind Router, bool ChosenFirst, bool Correction, int Parts, int Seed)> s_routers =
        from sigmoid in Gen.Bool
        from renormalised in Gen.Bool
        from chosenFirst in Gen.Bool
        from correction in Gen.Bool
        from groups in Gen.Int[1, 4]
        from size in Gen.Int[2, 4]
        from topKGroups in Gen.Int[1, groups]
        from topK in Gen.Int[1, Math.Min(5, size * topKGroups)]
        from twoBest in Gen.Bool
        from identity in Gen.Int[0, 3]
        from parts in Gen.Int[1, 4]
        from seed in Gen.Int
        let plain = !sigmoid && renormalised && groups == 1 && chosenFirst
        select (
            new RouterKind(sigmoid ? Scoring.Sigmoid : Scoring.Softmax, renormalised, groups * size, topK)
            {
                Groups = groups,
                TopKGroups = topKGroups,
                GroupScore = twoBest ? GroupScore.SumOfBestTwo : GroupScore.Best,
                IdentityExperts = groups > 1 || (sigmoid && !renormalised) ? 0 : identity,
            },
            plain, correction && !plain, parts, seed);

    [Fact]
    public void The_whole_layers_output_stays() => s_routers.Sample(
        c =>
        {
            var random = new Random(c.Seed);
            var moe = Random(random, c.Router, c.ChosenFirst, c.Correction, neurons: c.Parts * 3);
            var completed = moe.Complete(CompletionRule.Of(c.Router, c.Parts), c.Parts);
            for (int t = 0; t < 4; t++)
            {
                double[] x = Values(random, Hidden), expected = moe.Forward(x), found = completed.Forward(x);
                double norm = Math.Sqrt(expected.Sum(v => v * v));
                double error = Math.Sqrt(expected.Zip(found, (a, b) => (a - b) * (a - b)).Sum());
                Assert.InRange(error, 0, 1e-9 * norm);
            }
        },
        iter: 3000);

    [Fact]
    public void One_part_changes_nothing() => s_routers.Sample(
        c =>
        {
            var completion = CompletionRule.Of(c.Router, 1);
            Assert.Equal((1, 1.0, 1.0), (completion.DownScale, completion.DownBiasScale, completion.CorrectionBiasScale));
            Assert.Equal((c.Router.TopK, c.Router.Groups, c.Router.TopKGroups), (completion.TopK, completion.Groups, completion.TopKGroups));
            Assert.Equal(Enumerable.Range(0, c.Router.Experts + c.Router.IdentityExperts).Select(e => new ExpertPart(e, 0)), completion.Order);
        },
        iter: 300);

    [Fact]
    public void Every_part_of_every_expert_has_one_place_and_identity_experts_the_last() => s_routers.Sample(
        c =>
        {
            var order = CompletionRule.Of(c.Router, c.Parts).Order;
            Assert.Equal((c.Router.Experts + c.Router.IdentityExperts) * c.Parts, order.Distinct().Count());
            Assert.All(order.Skip(c.Router.Experts * c.Parts), part => Assert.True(part.Expert >= c.Router.Experts));
        },
        iter: 300);

    [Theory]
    [InlineData(Scoring.Softmax, false, 4, 1.0, 0.25)]
    [InlineData(Scoring.Softmax, true, 4, 1.0, 0.25)]
    [InlineData(Scoring.Sigmoid, true, 4, 1.0, 1.0)]
    [InlineData(Scoring.Sigmoid, false, 1, 0.25, 1.0)]
    public void The_scales_are_those_of_the_routers_rule(object scoring, bool renormalised, int down, double bias, double correction)
    {
        var completion = CompletionRule.Of(new RouterKind((Scoring)scoring, renormalised, 8, 2), 4);
        Assert.Equal((down, bias, correction), (completion.DownScale, completion.DownBiasScale, completion.CorrectionBiasScale));
    }

    [Fact]
    public void Groups_by_their_two_best_become_groups_of_parts()
    {
        var completion = CompletionRule.Of(new RouterKind(Scoring.Sigmoid, true, 6, 2) { Groups = 2, TopKGroups = 1, GroupScore = GroupScore.SumOfBestTwo }, 2);
        Assert.Equal((4, 4, 2), (completion.TopK, completion.Groups, completion.TopKGroups));
        Assert.Equal([0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5], completion.Order.Select(part => part.Expert));
        Assert.Equal([0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1], completion.Order.Select(part => part.Part));
    }

    [Fact]
    public void What_cannot_be_exact_is_refused_with_the_reason()
    {
        var sigmoid = new RouterKind(Scoring.Sigmoid, false, 6, 2);
        Assert.Contains("identity", Refusal(sigmoid with { IdentityExperts = 2 }, 2), StringComparison.Ordinal);
        Assert.Contains("0 parts", Refusal(sigmoid, 0), StringComparison.Ordinal);
        Assert.Contains("4 groups", Refusal(sigmoid with { Groups = 4 }, 2), StringComparison.Ordinal);
        Assert.Contains("groups of one", Refusal(sigmoid with { Groups = 6, GroupScore = GroupScore.SumOfBestTwo }, 2), StringComparison.Ordinal);
        Assert.Contains("groups", Refusal(new RouterKind(Scoring.Softmax, true, 6, 2) { Groups = 2, IdentityExperts = 2 }, 2), StringComparison.Ordinal);
    }

    private static string Refusal(RouterKind router, int parts) => Assert.Throws<ArgumentException>(() => CompletionRule.Of(router, parts)).Message;

    private static ReferenceMoe Random(Random random, RouterKind router, bool chosenFirst, bool correction, int neurons) => new()
    {
        Router = router,
        ChosenFirst = chosenFirst,
        RoutedScale = 0.5 + random.NextDouble(),
        Gate = Rows(random, router.Experts + router.IdentityExperts),
        RouterBias = Values(random, router.Experts + router.IdentityExperts),
        CorrectionBias = [.. Values(random, router.Experts + router.IdentityExperts).Select(b => correction ? 0.2 * b : 0)],
        Experts =
        [
            .. Enumerable.Range(0, router.Experts).Select(_ => new ReferenceMoe.Expert(
                Rows(random, neurons), Values(random, neurons), Rows(random, neurons), Values(random, neurons), Rows(random, neurons), Values(random, Hidden))),
        ],
    };

    private static double[][] Rows(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => Values(random, Hidden))];

    private static double[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextDouble() - 1)];
}

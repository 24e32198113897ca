using CsCheck;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Tests.Engine.Moe.Balance;

/// <summary>What balancing promises, over a hundred thousand random layers.</summary>
public class BalanceRuleTests
{
    // Of a run with DUALSPARSE_SLOW; of a usual one a part of them.
    private static readonly int Plans = SlowTests.Run ? 100_000 : 10_000;

    private static readonly Gen<int> s_seeds = Gen.Int[0, int.MaxValue - 1];

    [Fact]
    public void The_highest_load_is_never_above_that_of_the_same_thresholds_everywhere_and_no_pair_computes_less() => s_seeds.Sample(seed =>
    {
        var loads = new RandomLoads(seed);
        var times = loads.Times(loads.TableOf(0));
        int[] levels = ThresholdRule.Levels(times, [], BalanceRule.Makespan);
        var decided = loads.Decide(levels);
        double highest = 0, uniform = 0;
        for (int rank = 0; rank < loads.Placement.Ranks; rank++)
        {
            (highest, uniform) = (Math.Max(highest, loads.Seconds(rank, decided)), Math.Max(uniform, loads.Seconds(rank, loads.Uniform)));
            // What is predicted from messages is what the pairs themselves say.
            Assert.Equal(loads.Seconds(rank, loads.Uniform), times.Seconds(rank, times.Table.Levels), 1e-9 * (1e-12 + uniform));
        }

        Assert.True(highest <= uniform * (1 + 1e-12), $"{highest} above {uniform}");
        NoLess(decided, loads.Uniform);
        // Smaller thresholds would take a rank above it.
        for (int rank = 0; rank < levels.Length; rank++)
            Assert.True(levels[rank] == 0 || times.Seconds(rank, levels[rank] - 1) > uniform * (1 - 1e-12));
    }, iter: Plans);

    [Fact]
    public void All_ranks_decide_the_same_from_one_message_each() => s_seeds.Sample(seed =>
    {
        var loads = new RandomLoads(seed);
        var setting = new BalanceSetting(BalanceMode.Both, loads.Rates) { MarkedAbove = 0.5 };
        var found = Decided(0);
        for (int rank = 1; rank < loads.Placement.Ranks; rank++)
        {
            var other = Decided(rank);
            Assert.Equal(found.Low, other.Low);
            Assert.Equal(found.Levels, other.Levels);
        }

        (bool[] Low, int[] Levels) Decided(int rank)
        {
            var times = loads.Times(loads.TableOf(rank));
            bool[] low = PrecisionRule.Choose(times, setting, knee: 3);
            return (low, ThresholdRule.Levels(times, low, setting.Rule));
        }
    }, iter: Plans);

    [Fact]
    public void The_papers_rule_drops_no_more_than_the_same_thresholds_everywhere_and_all_of_it_above_the_mean() => s_seeds.Sample(seed =>
    {
        var loads = new RandomLoads(seed);
        var times = loads.Times(loads.TableOf(0));
        int[] levels = ThresholdRule.Levels(times, [], BalanceRule.Paper);
        NoLess(loads.Decide(levels), loads.Uniform);
        double[] whole = [.. Enumerable.Range(0, levels.Length).Select(rank => times.Seconds(rank, 0))];
        for (int rank = 0; rank < levels.Length; rank++)
            Assert.True(whole[rank] < whole.Average() || levels[rank] == times.Table.Levels);
        Assert.Equal(loads.Uniform.SelectMany(c => c), loads.Decide(ThresholdRule.Levels(times, [], BalanceRule.All)).SelectMany(c => c));
    }, iter: Plans / 10);

    [Fact]
    public void The_smallest_set_of_ranks_gives_the_lowest_makespan_that_any_set_gives() => s_seeds.Sample(seed =>
    {
        var loads = new RandomLoads(seed);
        var random = new Random(seed);
        var times = loads.Times(loads.TableOf(0));
        var setting = new BalanceSetting(BalanceMode.Precision, loads.Rates) { MarkedAbove = random.Next(3) * 0.35, HotAbove = random.Next(2) };
        bool[] low = PrecisionRule.Choose(times, setting, knee: -1);
        double best = double.PositiveInfinity;
        int fewest = 0, ranks = low.Length, level = times.Table.Levels;
        for (int set = 0; set < 1 << ranks; set++)
        {
            bool[] other = [.. Enumerable.Range(0, ranks).Select(rank => (set >> rank & 1) > 0)];
            if (Enumerable.Range(0, ranks).Any(rank => other[rank] && !May(rank)))
                continue;
            double makespan = Enumerable.Range(0, ranks).Max(rank => times.Seconds(rank, level, other));
            if (makespan < best || (makespan == best && other.Count(s => s) < fewest))
                (best, fewest) = (makespan, other.Count(s => s));
        }

        Assert.Equal(best, Enumerable.Range(0, ranks).Max(rank => times.Seconds(rank, level, low)));
        Assert.Equal(fewest, low.Count(s => s));
        Assert.True(Enumerable.Range(0, ranks).All(rank => !low[rank] || May(rank)));
        Assert.DoesNotContain(true, PrecisionRule.Choose(times, setting, knee: (int)times.Table.Rows));

        // As the paper has it; ours takes the fewest of these.
        Assert.Equal(Enumerable.Range(0, ranks).Select(May), PrecisionRule.Choose(times, setting with { Rule = BalanceRule.Paper }, knee: -1));

        bool May(int rank) => times.Seconds(rank, level) > setting.HotAbove * Enumerable.Range(0, ranks).Average(r => times.Seconds(r, level)) && Marked(rank);

        bool Marked(int rank) => setting.MarkedAbove == 0 || times.Table.Marked(rank) > setting.MarkedAbove * times.Table.Pairs(rank);
    }, iter: Plans / 10);

    // Two ranks of one expert each: of four rows all go to the first, three of them marked, and two to the second.
    [Theory]
    [InlineData(0.7, 1, new[] { true, false })]
    [InlineData(0.75, 1, new[] { false, false })]
    [InlineData(0.7, 1.4, new[] { false, false })]
    [InlineData(0, 0.5, new[] { true, true })]
    public void The_paper_switches_ranks_that_are_hot_and_have_mostly_marked_rows(double markedAbove, double hotAbove, bool[] expected)
    {
        var placement = ExpertPlacement.Blocks(2, 2);
        var plan = new RoutingPlan();
        plan.Reset(6, 1);
        int[] experts = [0, 0, 0, 0, 1, 1];
        experts.CopyTo(plan.Experts);
        var levels = new DropLevels();
        var table = new LoadTable(placement);
        levels.Reset(6, table.Levels);
        table.Add(plan, levels, 32, 32, [true, true, true, false, true, false]);
        var times = new LoadTimes(table, placement, new(64), 64, 2, new ExpertRates(1e15, 1e9, 2e9, 1e15));
        var setting = new BalanceSetting(BalanceMode.Precision, default) { Rule = BalanceRule.Paper, MarkedAbove = markedAbove, HotAbove = hotAbove };
        Assert.Equal(expected, PrecisionRule.Choose(times, setting, knee: 5));
        Assert.Equal([false, false], PrecisionRule.Choose(times, setting, knee: 6));
        Assert.Equal([true, true], PrecisionRule.Choose(times, setting with { Rule = BalanceRule.All }, knee: 6));
    }

    [Theory]
    [InlineData(2, 64)]
    [InlineData(8, 64)]
    [InlineData(16, 128)]
    [InlineData(8, 256)]
    public void A_message_takes_two_kibibytes_at_most(int ranks, int experts) =>
        Assert.InRange(new LoadTable(ExpertPlacement.Blocks(ranks, experts)).Bytes, 1024, LoadTable.MessageBytes);

    // A memory-bound rank reads an expert whether one row or three ask for it.
    [Fact]
    public void A_rank_bound_by_memory_keeps_rows_of_what_is_read_anyway()
    {
        var placement = ExpertPlacement.Blocks(2, 2);
        var ticket = new ExpertTicket();
        ticket.Routing.Reset(6, 1);
        int[] experts = [0, 0, 0, 1, 1, 1];
        experts.CopyTo(ticket.Routing.Experts);
        var table = new LoadTable(placement);
        ticket.Levels.Reset(6, table.Levels);
        float[] scores = [0.9f, 0.1f, 0.1f, 0.9f, 0.9f, 0.9f];
        for (int i = 0; i < 6; i++)
            ticket.Levels.Set(i, scores[i], best: false, new(0.5f, 0.5f), guard: false);
        table.Add(ticket.Routing, ticket.Levels, 32, 32, []);
        int[] Levels(double bytes, double operations) =>
            ThresholdRule.Levels(new LoadTimes(table, placement, new(64), 64, 2, new ExpertRates(bytes, operations, 1, 1)), [], BalanceRule.Makespan);
        Assert.Equal(0, Levels(1, 1e15)[0]);
        // By arithmetic the other rank has three rows, so all three may stay here too.
        Assert.Equal(0, Levels(1e15, 1)[0]);
        LayerBalance.Apply(ticket, placement, Levels(1, 1e15));
        Assert.All(ticket.Routing.Computations.ToArray(), c => Assert.Equal(Computation.Full, c));
    }

    private static void NoLess(Computation[][] decided, Computation[][] uniform)
    {
        foreach (var (mine, theirs) in decided.SelectMany(c => c).Zip(uniform.SelectMany(c => c)))
            Assert.True(mine <= theirs, $"{mine} where the same thresholds everywhere compute {theirs}");
    }
}

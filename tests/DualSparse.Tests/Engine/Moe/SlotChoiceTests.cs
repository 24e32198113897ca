using CsCheck;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Kernels;
using DualSparse.Models;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Where experts compute while rows travel: the least makespan of all places, the same for all ranks, at the right passes.</summary>
public class SlotChoiceTests
{
    private static Operator[] Group(string model) => LayerProgram.Groups(ModelConfig.Load(TestPaths.Golden(model)))[^1].Operators;

    // Places behind the beginning and each operator up to the end.
    [Theory]
    [InlineData("scmoe/top2", 1)]
    [InlineData("scmoe/shared_expert", 2)]
    [InlineData("scmoe/pos1", 3)]
    [InlineData("scmoe/pos2", 4)]
    [InlineData("scmoe/pos3", 5)]
    [InlineData("scmoe/dgmoe", 9)]
    public void Experts_may_be_anywhere_between_beginning_and_end(string model, int count)
    {
        var orders = SlotChoice.Orders(Group(model));
        Assert.Equal(Group(model), orders[0]);
        Assert.Equal(count, orders.Select(order => string.Join(' ', order)).Distinct().Count());
        Assert.All(orders, order =>
        {
            foreach (var experts in order.Where(step => step.Kind == OperatorKind.Experts))
            {
                int Place(OperatorKind kind) => Array.FindIndex(order, step => step.Kind == kind && step.Branch == experts.Branch && (kind != OperatorKind.Shared));
                Assert.True(Place(OperatorKind.BeginExperts) < Place(OperatorKind.Experts) && Place(OperatorKind.Experts) < Place(OperatorKind.EndExperts));
            }
        });
    }

    // arXiv 2404.05019, eq. 11: max(before, dispatch) + experts + max(after, combine), over all places, by plain sums.
    [Fact]
    public void The_place_is_that_of_least_makespan_over_all_of_them()
    {
        string[] models = ["scmoe/shared_expert", "scmoe/pos1", "scmoe/pos2", "scmoe/pos3"];
        (from model in Gen.Int[0, models.Length - 1] from seed in Gen.Int select (models[model], seed)).Sample(t =>
        {
            var (model, seed) = t;
            var group = Group(model);
            var random = new Random(seed);
            var times = group.ToDictionary(step => step, _ => random.NextDouble());
            double dispatch = 2 * random.NextDouble(), combine = 2 * random.NextDouble();
            var lane = new ExpertLane(group[^1].Layer);
            var found = SlotChoice.Best(SlotChoice.Orders(group), new GroupTimes(times, new Dictionary<ExpertLane, LaneTimes> { [lane] = new(dispatch, combine, 0) }));

            var fixedOrder = group.Where(step => step.Kind != OperatorKind.Experts).ToList();
            int begin = fixedOrder.FindIndex(step => step.Kind == OperatorKind.BeginExperts), end = fixedOrder.Count - 1;
            double experts = times[group.Single(step => step.Kind == OperatorKind.Experts)];
            double Sum(int from, int to) => fixedOrder[from..to].Sum(step => times[step]);
            double Makespan(int slot) => Sum(0, begin + 1) + Math.Max(Sum(begin + 1, slot), dispatch) + experts + Math.Max(Sum(slot, end), combine) + times[fixedOrder[end]];
            double best = Enumerable.Range(begin + 1, end - begin).Min(Makespan);
            int chosen = Array.FindIndex(found, step => step.Kind == OperatorKind.Experts);
            return Math.Abs(Makespan(chosen) - best) < 1e-12;
        });
    }

    // What the exchange does: own rows while others' travel; others' first where they are here.
    [Fact]
    public void Own_rows_are_computed_while_others_travel()
    {
        var group = Group("scmoe/shared_expert");
        var lane = new ExpertLane(group[^1].Layer);
        var times = group.ToDictionary(step => step, step => step.Kind switch { OperatorKind.Experts => 10.0, OperatorKind.Shared => 4, _ => 0 });
        Operator[] early = group, late = SlotChoice.Orders(group)[1];
        Assert.Equal(OperatorKind.Shared, late[^3].Kind);
        double Of(Operator[] order, double dispatch, double combine, double own) =>
            new GroupTimes(times, new Dictionary<ExpertLane, LaneTimes> { [lane] = new(dispatch, combine, own) }).Makespan(order);
        Assert.Equal(10 + 4, Of(early, dispatch: 5, combine: 4, own: 5));
        Assert.Equal(7 + 5 + 6, Of(early, dispatch: 7, combine: 6, own: 5));
        Assert.Equal(4 + 5 + 6, Of(late, dispatch: 4, combine: 6, own: 5));
        Assert.Equal(4 + 10, Of(late, dispatch: 3, combine: 5, own: 5));
        Assert.Equal(5 + 4 + 10, Of(late, dispatch: 9, combine: 0, own: 0) + 0);
    }

    // Two pieces of 3, and 4 that needn't travel, in two parts. Where 4 are under way each way: own to 2, first piece to 5, second to 8 and its sums to
    // 10, own to 10. Where 20 are, sums follow rows on a link that is never idle.
    [Theory]
    [InlineData(0, 0, 10)]
    [InlineData(4, 4, 10)]
    [InlineData(20, 0, 20 + 3)]
    [InlineData(0, 20, 6 + 20)]
    [InlineData(20, 20, 20 + 20)]
    public void Pieces_are_computed_as_they_come(double dispatch, double combine, double expected)
    {
        var group = Group("scmoe/top2");
        var lane = new ExpertLane(group[^1].Layer);
        var times = group.ToDictionary(step => step, step => step.Kind == OperatorKind.Experts ? 10.0 : 0);
        Assert.Equal(expected, new GroupTimes(times, new Dictionary<ExpertLane, LaneTimes> { [lane] = new(dispatch, combine, 4, Chunks: 2) }).Makespan(group));
    }

    // Ranks count passes alike, and hear each other's times before they choose.
    [Fact]
    public void Ranks_decide_together_at_the_same_passes()
    {
        var config = ModelConfig.Load(TestPaths.Golden("scmoe", "pos2"));
        using var team = new ThreadTeam(1);
        using var work = new Workspace(team, KernelSet.Best());
        using var pass = new Pass(config, work);
        int[] rows = [5, 7];
        int shared = 0;
        double[] told = [];
        var schedule = ExpertSchedule.Of(config, new RankPeers
        {
            Exchange = LocalExchange.Instance,
            RowsOfPass = () => rows,
            Share = own =>
            {
                shared++;
                double[] other = [.. own];
                // Another rank's dispatch takes long, and its experts' sums come at once.
                other[^3] = 100;
                other[^2] = 0;
                told = own;
                return [own, other];
            },
        })!;
        var plain = LayerProgram.Of(config);
        List<int> decided = [];
        for (int number = 0; number < 70; number++)
        {
            int before = shared;
            var program = schedule.Begin(pass);
            if (shared > before)
                decided.Add(number);
            Assert.Equal(number is 1 or 2 or 14 or 15 or 62 or 63, pass.Clock is not null);
            Assert.Equal(plain.Order(Comparer<Operator>.Create(Compare)), program.Order(Comparer<Operator>.Create(Compare)));
            // Everything stands before the experts then.
            if (number >= 3)
                Assert.All(Enumerable.Range(0, program.Length).Where(i => program[i].Kind == OperatorKind.Experts), i => Assert.Equal(OperatorKind.EndExperts, program[i + 1].Kind));
            else
                Assert.Equal(plain, program);
            if (pass.Clock is { } clock)
            {
                foreach (var step in program)
                    clock.Begin(step);
                clock.End();
                foreach (var step in program.Where(step => step.Kind == OperatorKind.EndExperts))
                    clock.Travelled(new TravelTimes { Lane = new(step.Layer, step.Branch) });
            }

            schedule.End(pass);
        }

        Assert.Equal([3, 16, 64], decided);
        Assert.NotEmpty(told);
        // Of another size nothing is known; a rank without rows has nothing to measure.
        rows = [1, 1];
        Assert.Equal(plain, schedule.Begin(pass));
        schedule.End(pass);
        rows = [0, 7];
        Assert.Equal(plain, schedule.Begin(pass));
        Assert.Null(ExpertSchedule.Of(ModelConfig.Load(TestPaths.Golden("olmoe")), new RankPeers { Exchange = LocalExchange.Instance, RowsOfPass = () => rows, Share = own => [own] }));
        Assert.Null(ExpertSchedule.Of(config, null));

        static int Compare(Operator a, Operator b) => string.CompareOrdinal(a.ToString(), b.ToString());
    }
}

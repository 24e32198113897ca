using DualSparse.Distributed.Measuring;

namespace DualSparse.Tests.Distributed.Measuring;

/// <summary>Both schemes without MPI: all ranks' sides in one process, their stages in step, bytes copied from where one sends to where another receives.</summary>
public unsafe class ExchangeScheduleTests
{
    private static readonly ExchangeShape s_shape = new(Tokens: 9, Hidden: 19, Experts: 12, TopK: 3, Zipf: 0, WireFormat.Bf16, WireFormat.F32);

    public static TheoryData<int, int, double> Arrangements()
    {
        var data = new TheoryData<int, int, double>();
        foreach (int ranks in new[] { 1, 2, 3, 4, 6, 8 })
        {
            foreach (var at in ExpertArrangement.All(ranks))
            {
                data.Add(at.Groups, at.Parts, 0);
                // Many ranks get nothing of many others.
                data.Add(at.Groups, at.Parts, 4);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Arrangements))]
    public void Both_schemes_bring_back_the_sums_of_one_process(int groups, int parts, double zipf)
    {
        foreach (var sums in Enum.GetValues<WireFormat>())
        {
            var (routing, sets) = Route(s_shape with { Zipf = zipf, Sums = sums }, new ExpertArrangement(groups, parts));
            foreach (var scheme in Enum.GetValues<ExchangeScheme>())
            {
                var sides = Sides(scheme, routing, sets);
                Exchange(sides);
                Assert.All(sides, side => Assert.InRange(side.Check(), 0, sums == WireFormat.F32 ? 2e-6 : 8e-3));
                Array.ForEach(sides, side => side.Dispose());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Arrangements))]
    public void Each_rank_sends_the_bytes_of_the_formula(int groups, int parts, double zipf)
    {
        var (routing, sets) = Route(s_shape with { Zipf = zipf, Rows = WireFormat.F32, Sums = WireFormat.Bf16 }, new ExpertArrangement(groups, parts));
        foreach (var scheme in Enum.GetValues<ExchangeScheme>())
        {
            var sides = Sides(scheme, routing, sets);
            for (int rank = 0; rank < sides.Length; rank++)
            {
                Assert.Equal(ExchangeBytes.Dispatch(scheme, sets, routing.Shape, rank), Sent(sides[rank].Dispatch));
                Assert.Equal(ExchangeBytes.Combine(sets, routing.Shape, rank), Sent(sides[rank].Combine));
            }

            Array.ForEach(sides, side => side.Dispose());
        }
    }

    // In its turn each rank sends to one and receives from one, and turns are in order.
    [Theory]
    [MemberData(nameof(Arrangements))]
    public void Turns_never_meet(int groups, int parts, double zipf)
    {
        var (routing, sets) = Route(s_shape with { Zipf = zipf }, new ExpertArrangement(groups, parts));
        foreach (var scheme in Enum.GetValues<ExchangeScheme>())
        {
            var sides = Sides(scheme, routing, sets);
            foreach (var stage in sides.SelectMany(side => side.Dispatch.Concat(side.Combine)))
            {
                foreach (var transfers in new[] { stage.Sends, stage.Receives })
                    Assert.Equal(transfers.Select(t => t.Step).Order().Distinct(), transfers.Select(t => t.Step));
            }

            Array.ForEach(sides, side => side.Dispose());
        }
    }

    // Of k experts out of X drawn alike, some are among a group's m with probability 1 − C(X − m, k) / C(X, k).
    [Theory]
    [InlineData(2, 2)]
    [InlineData(4, 1)]
    [InlineData(1, 4)]
    public void Uniform_routing_sends_what_chance_says(int groups, int parts)
    {
        var shape = s_shape with { Tokens = 2000, Hidden = 1 };
        var (_, sets) = Route(shape, new ExpertArrangement(groups, parts));
        double none = 1;
        for (int k = 0; k < shape.TopK; k++)
            none *= Math.Max(0, shape.Experts - shape.Experts / groups - k) / (double)(shape.Experts - k);
        double rows = shape.Tokens * (1 - none), deviation = Math.Sqrt(shape.Tokens * none * (1 - none));
        for (int rank = 0; rank < sets.Arrangement.Ranks; rank++)
        {
            for (int group = 0; group < groups; group++)
                Assert.InRange(sets.Count(rank, group), rows - 5 * deviation, rows + 5 * deviation);
        }
    }

    [Fact]
    public void A_popular_expert_is_wanted_in_proportion()
    {
        var shape = s_shape with { Tokens = 4000, TopK = 1, Zipf = 1 };
        var routing = new ShapedRouting(shape, 1);
        int[] counts = new int[shape.Experts];
        for (int token = 0; token < shape.Tokens; token++)
            counts[routing.Experts(0, token)[0]]++;
        double all = Enumerable.Range(1, shape.Experts).Sum(i => 1.0 / i);
        for (int e = 0; e < shape.Experts; e++)
        {
            double expected = shape.Tokens / ((e + 1) * all);
            Assert.InRange(counts[e], expected - 5 * Math.Sqrt(expected), expected + 5 * Math.Sqrt(expected));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_message_that_gets_lost_is_seen(int which)
    {
        var scheme = (ExchangeScheme)which;
        var (routing, sets) = Route(s_shape, new ExpertArrangement(2, 2));
        var sides = Sides(scheme, routing, sets);
        int stages = sides[0].Dispatch.Count + sides[0].Combine.Count;
        int lost = 0;
        for (int stage = 0; stage < stages; stage++)
        {
            if (!Exchange(sides, skip: stage))
                continue;
            lost++;
            Assert.Contains(sides, side => Record.Exception(() => { side.Check(); }) is InvalidDataException { Message: var said } && said.Contains("moved wrong bytes", StringComparison.Ordinal));
        }

        Assert.Equal(scheme == ExchangeScheme.SplitExperts ? 2 : 4, lost);
        Array.ForEach(sides, side => side.Dispose());
    }

    private static (ShapedRouting Routing, RowSets Sets) Route(ExchangeShape shape, ExpertArrangement arrangement)
    {
        shape.Check();
        var routing = new ShapedRouting(shape, arrangement.Ranks);
        return (routing, new RowSets(routing, arrangement));
    }

    private static ExchangeSide[] Sides(ExchangeScheme scheme, ShapedRouting routing, RowSets sets) =>
        [.. Enumerable.Range(0, routing.Ranks).Select(rank => scheme.Side(routing, sets, rank))];

    private static long Sent(IReadOnlyList<ExchangeStage> stages) => stages.Sum(stage => stage.Sends.Sum(t => (long)t.Bytes));

    // A round; of one stage the first message gets lost. Whether there was one.
    private static bool Exchange(ExchangeSide[] sides, int skip = -1)
    {
        Array.ForEach(sides, side => side.Poison());
        int stage = 0;
        bool lost = Step(sides, side => side.Dispatch, skip, ref stage);
        Array.ForEach(sides, side => side.Compute());
        return Step(sides, side => side.Combine, skip, ref stage) || lost;
    }

    private static bool Step(ExchangeSide[] sides, Func<ExchangeSide, IReadOnlyList<ExchangeStage>> half, int skip, ref int stage)
    {
        bool lost = false;
        for (int i = 0; i < half(sides[0]).Count; i++, stage++)
        {
            Array.ForEach(sides, side => half(side)[i].Work());
            var expected = sides.SelectMany((side, to) => half(side)[i].Receives.Select(t => (From: t.Peer, To: to))).ToList();
            for (int from = 0; from < sides.Length; from++)
            {
                foreach (var sent in half(sides[from])[i].Sends)
                {
                    Assert.NotEqual(from, sent.Peer);
                    var received = Assert.Single(half(sides[sent.Peer])[i].Receives, t => t.Peer == from);
                    Assert.Equal((sent.Bytes, sent.Step), (received.Bytes, received.Step));
                    Assert.True(expected.Remove((from, sent.Peer)));
                    if (stage == skip && !lost)
                        lost = true;
                    else
                        new ReadOnlySpan<byte>((void*)sent.Address, sent.Bytes).CopyTo(new Span<byte>((void*)received.Address, received.Bytes));
                }
            }

            Assert.Empty(expected);
        }

        return lost;
    }
}

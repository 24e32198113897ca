using System.Diagnostics;

namespace DualSparse.Distributed.Measuring;

/// <summary>
/// S-ETP beside EP×TP on real ranks: the exchange of a MoE layer alone, without its experts, on every arrangement of the ranks. A round is a dispatch and
/// a combine; the schemes take turns. Time runs from encoded rows to their added sums, on the slowest rank.
/// </summary>
internal sealed class ExchangeBenchmark
{
    // Connections are made at the first message, code is compiled at the first calls.
    private const int UntimedRounds = 3;

    private static readonly ExchangeScheme[] s_schemes = Enum.GetValues<ExchangeScheme>();

    private readonly RankGroup group;
    private readonly ShapedRouting routing;
    private readonly int rounds;
    private readonly StageRunner runner;
    private readonly Rendezvous rendezvous;

    private ExchangeBenchmark(RankGroup group, ExchangeShape shape, MessageOrder order, int rounds)
    {
        (this.group, this.rounds) = (group, rounds);
        (runner, rendezvous) = (new StageRunner(group, order), new Rendezvous(group));
        rendezvous.Agree($"{shape} {order} {rounds}");
        routing = new ShapedRouting(shape, group.Size);
    }

    /// <summary>Measures; all ranks call it alike.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="shape">What is exchanged.</param>
    /// <param name="order">When messages are sent.</param>
    /// <param name="rounds">Timed rounds of each scheme.</param>
    /// <returns>Rank 0: each arrangement's times. Another: nothing.</returns>
    /// <exception cref="InvalidDataException">A scheme moved wrong bytes.</exception>
    /// <exception cref="Mpi.MpiException">Ranks were told different things, or one was lost.</exception>
    public static IReadOnlyList<ExchangeComparison> Run(RankGroup group, ExchangeShape shape, MessageOrder order, int rounds)
    {
        var benchmark = new ExchangeBenchmark(group, shape, order, rounds);
        return [.. ExpertArrangement.All(group.Size).Select(benchmark.Compare).OfType<ExchangeComparison>()];
    }

    private ExchangeComparison? Compare(ExpertArrangement arrangement)
    {
        var sets = new RowSets(routing, arrangement);
        var records = s_schemes.Select(_ => new Record(rounds)).ToArray();
        var sides = s_schemes.Select(scheme => scheme.Side(routing, sets, group.Rank)).ToArray();
        try
        {
            for (int round = -UntimedRounds; round < rounds; round++)
            {
                // Each is first as often as second.
                foreach (int s in round % 2 == 0 ? [0, 1] : new[] { 1, 0 })
                    Measure(sides[s], records[s], round, $"{s_schemes[s].Name()} on {arrangement.Name}");
            }
        }
        finally
        {
            Array.ForEach(sides, side => side.Dispose());
        }

        double[][][] all = [.. records.Select(record => rendezvous.Gather(record.Figures))];
        return group.Rank == 0 ? new ExchangeComparison(arrangement, Times(0), Times(1)) : null;

        ExchangeTimes Times(int s) => Record.Merge(s_schemes[s], all[s]);
    }

    private void Measure(ExchangeSide side, Record record, int round, string what)
    {
        side.Poison();
        var (there, dispatched) = Time(side.Dispatch, what);
        side.Compute();
        var (back, combined) = Time(side.Combine, what);
        record.Add(round, there, back, dispatched, combined, side.Check());
    }

    private (double Seconds, long Bytes) Time(IReadOnlyList<ExchangeStage> stages, string what)
    {
        // Who has waited long sleeps, and wakes late; at the second nobody has.
        rendezvous.Barrier();
        rendezvous.Barrier();
        long start = Stopwatch.GetTimestamp();
        long bytes = runner.Run(stages, what);
        return (Stopwatch.GetElapsedTime(start).TotalSeconds, bytes);
    }

    /// <summary>A rank's figures of one scheme, as they are brought together: bytes, the largest error, then each round's times.</summary>
    private sealed class Record(int rounds)
    {
        private const int DispatchBytes = 0, CombineBytes = 1, Error = 2, Rounds = 3;

        public double[] Figures { get; } = new double[Rounds + 2 * rounds];

        public static ExchangeTimes Merge(ExchangeScheme scheme, double[][] ranks)
        {
            double[] slowest = [.. Enumerable.Range(0, ranks[0].Length).Select(i => ranks.Max(rank => rank[i]))];
            return new ExchangeTimes(
                scheme, [.. ranks.Select(rank => (long)rank[DispatchBytes])], [.. ranks.Select(rank => (long)rank[CombineBytes])],
                [.. slowest.Skip(Rounds).Where((_, i) => i % 2 == 0)], [.. slowest.Skip(Rounds).Where((_, i) => i % 2 == 1)], slowest[Error]);
        }

        /// <summary>Notes a round; of one before the first only whether it was right.</summary>
        public void Add(int round, double there, double back, long dispatched, long combined, double error)
        {
            Figures[Error] = Math.Max(Figures[Error], error);
            (Figures[DispatchBytes], Figures[CombineBytes]) = (dispatched, combined);
            if (round >= 0)
                (Figures[Rounds + 2 * round], Figures[Rounds + 2 * round + 1]) = (there, back);
        }
    }
}

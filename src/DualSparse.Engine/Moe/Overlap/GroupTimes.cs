namespace DualSparse.Engine.Moe.Overlap;

/// <summary>A layer's rows between ranks, in seconds.</summary>
/// <param name="Dispatch">From when they are sent until those of others are here.</param>
/// <param name="Combine">From when others' sums are sent until own ones are here.</param>
/// <param name="Own">What the experts here take for rows that needn't travel.</param>
/// <param name="Chunks">The pieces that rows and sums travel in, one behind the other (<see cref="RowChunks"/>).</param>
internal readonly record struct LaneTimes(double Dispatch, double Combine, double Own, int Chunks = 1);

/// <summary>What a group of layers takes on a rank, and what that makes of an order of its operators. Pure.</summary>
/// <param name="Operators">[operators] seconds that each computes, without waits.</param>
/// <param name="Lanes">The rows' ways.</param>
internal sealed record GroupTimes(IReadOnlyDictionary<Operator, double> Operators, IReadOnlyDictionary<ExpertLane, LaneTimes> Lanes)
{
    /// <summary>
    /// Seconds of an order, where every rank has as much to do. Experts begin with the rows that are here: those of others first, whose sums then travel
    /// while own ones are computed, and own ones while others' travel. A link carries one thing after another.
    /// </summary>
    public double Makespan(ReadOnlySpan<Operator> order)
    {
        double now = 0, link = 0;
        Dictionary<ExpertLane, double> arrival = [];
        foreach (var step in order)
        {
            double work = Operators[step];
            var lane = new ExpertLane(step.Layer, step.Branch);
            switch (step.Kind)
            {
                case OperatorKind.BeginExperts:
                    now += work;
                    arrival[lane] = link = Math.Max(link, now) + Lanes[lane].Dispatch;
                    break;
                case OperatorKind.Experts:
                    Compute(Lanes[lane], work, arrival[lane], ref now, ref link);
                    arrival[lane] = link;
                    break;
                case OperatorKind.EndExperts:
                    now = Math.Max(now, arrival[lane]) + work;
                    break;
                default:
                    now += work;
                    break;
            }
        }

        return now;
    }

    // As the exchange does it: the pieces that have come, or else a part of the own share, or else it waits.
    private static void Compute(LaneTimes lane, double work, double arrival, ref double now, ref double link)
    {
        double own = Math.Min(work, lane.Own), each = (work - own) / lane.Chunks;
        for (int come = 0, left = lane.Chunks; left > 0 || come < lane.Chunks;)
        {
            int before = come;
            while (come < lane.Chunks && Came(come) <= now)
                come++;
            if (come > before)
            {
                now += each * (come - before);
                link = Math.Max(link, now) + lane.Combine * (come - before) / lane.Chunks;
            }
            else if (left > 0)
            {
                now += own / lane.Chunks;
                left--;
            }
            else
            {
                now = Came(come);
            }
        }

        double Came(int chunk) => arrival - lane.Dispatch * (lane.Chunks - 1 - chunk) / lane.Chunks;
    }
}

namespace DualSparse.Engine.Moe.Overlap;

/// <summary>A layer's rows between ranks, in seconds.</summary>
/// <param name="Dispatch">From when they are sent until those of others are here.</param>
/// <param name="Combine">From when others' sums are sent until own ones are here.</param>
/// <param name="Own">What the experts here take for rows that needn't travel.</param>
internal readonly record struct LaneTimes(double Dispatch, double Combine, double Own);

/// <summary>What a group of layers takes on a rank, and what that makes of an order of its operators. Pure.</summary>
/// <param name="Operators">[operators] seconds that each computes, without waits.</param>
/// <param name="Lanes">The rows' ways.</param>
internal sealed record GroupTimes(IReadOnlyDictionary<Operator, double> Operators, IReadOnlyDictionary<ExpertLane, LaneTimes> Lanes)
{
    /// <summary>
    /// Seconds of an order, where every rank has as much to do. Experts begin with the rows that are here: their own while others' travel, or those of
    /// others, whose sums then travel while own ones are computed. A link carries one thing after another.
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
                    double own = Math.Min(work, Lanes[lane].Own), sent;
                    if (arrival[lane] <= now)
                    {
                        sent = now + work - own;
                        now += work;
                    }
                    else
                    {
                        sent = now = Math.Max(now + own, arrival[lane]) + work - own;
                    }

                    arrival[lane] = link = Math.Max(link, sent) + Lanes[lane].Combine;
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
}

using DualSparse.Distributed;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>Real ranks in figures. Times are medians over layers and rounds.</summary>
/// <param name="Ranks">N.</param>
/// <param name="TokensPerSecond">Rows of all ranks through a layer.</param>
/// <param name="P50Milliseconds">A layer on the slowest rank: median …</param>
/// <param name="P99Milliseconds">… and 99 %.</param>
/// <param name="Balancedness">Mean over highest load of ranks.</param>
/// <param name="WaitingShare">What ranks wait of their time.</param>
/// <param name="RowBytesPerToken">Sent in dispatch, counted …</param>
/// <param name="RowBytesPerTokenTheory">… and by <see cref="EpBytes"/>.</param>
/// <param name="SumBytesPerToken">Sent back, counted …</param>
/// <param name="SumBytesPerTokenTheory">… and by <see cref="EpBytes"/>.</param>
/// <param name="ExchangeMilliseconds">The same messages without compute, on the slowest rank.</param>
/// <param name="PureExchangeMilliseconds">Waits in it, of the rank that waits least.</param>
/// <param name="ExposedWaitMilliseconds">Waits when computing, of the rank that waits least: what the others wait beyond it, they wait for its work.</param>
/// <param name="Hidden">1 − exposed wait / pure exchange.</param>
/// <param name="OwnShareMilliseconds">The window to hide in: the own share …</param>
/// <param name="LaterChunksMilliseconds">… chunks of other ranks after the first …</param>
/// <param name="SharedMilliseconds">… and the shared experts.</param>
internal sealed record EpRealFigures(
    int Ranks, double TokensPerSecond, double P50Milliseconds, double P99Milliseconds, double Balancedness, double WaitingShare,
    double RowBytesPerToken, double RowBytesPerTokenTheory, double SumBytesPerToken, double SumBytesPerTokenTheory,
    double ExchangeMilliseconds, double PureExchangeMilliseconds, double ExposedWaitMilliseconds, double Hidden,
    double OwnShareMilliseconds, double LaterChunksMilliseconds, double SharedMilliseconds)
{
    /// <summary>All that an exchange can hide behind.</summary>
    public double WindowMilliseconds => OwnShareMilliseconds + LaterChunksMilliseconds + SharedMilliseconds;
}

/// <summary>So many virtual ranks, and one process on the same rows.</summary>
/// <param name="Ranks">N.</param>
/// <param name="Balancedness">Mean over highest load of ranks.</param>
/// <param name="VirtualMilliseconds">Predicted: the slowest rank's layer.</param>
/// <param name="VirtualTokensPerSecond">Rows of all ranks in that time.</param>
/// <param name="ComputeMilliseconds">What the rank with the most work computes of it.</param>
/// <param name="OneProcessMilliseconds">One process with all its cores.</param>
/// <param name="OneProcessTokensPerSecond">The same rows in that time.</param>
internal sealed record EpCountFigures(
    int Ranks, double Balancedness, double VirtualMilliseconds, double VirtualTokensPerSecond, double ComputeMilliseconds, double OneProcessMilliseconds, double OneProcessTokensPerSecond);

/// <summary>What virtual ranks predict over what real ones take, each time in the same round.</summary>
/// <param name="Ratio">The median.</param>
/// <param name="Low">Its 95 % interval: the lower end …</param>
/// <param name="High">… and the upper.</param>
internal sealed record EpPrediction(double Ratio, double Low, double High)
{
    /// <summary>Of samples.</summary>
    public static EpPrediction Of(IReadOnlyList<EpSample> samples, Func<EpSample, VirtualTime> predicted)
    {
        double[] ratios = [.. samples.Select(sample => predicted(sample).Seconds / sample.RealSeconds)];
        var (low, high) = Statistics.MedianInterval(ratios);
        return new EpPrediction(Statistics.Median(ratios), low, high);
    }

    // Beyond it the model has left something out.
    private const double Tolerance = 0.1;

    /// <summary>Whether virtual ranks are to be believed.</summary>
    public bool Holds => Math.Abs(Ratio - 1) <= Tolerance;
}

/// <summary>A run in figures.</summary>
/// <param name="Real">Real ranks; null: none.</param>
/// <param name="Counts">Virtual ranks and one process.</param>
/// <param name="Prediction">Virtual over real, each virtual rank's work done while other real ranks do theirs; null: there are no real ranks.</param>
/// <param name="PredictionAlone">The same where it is done alone, as on a machine of its own: beside it stands what real ranks lose by sharing one.</param>
/// <param name="MedianLayer">[real ranks] the layer whose time is nearest the median; empty: none.</param>
internal sealed record EpReport(EpRealFigures? Real, IReadOnlyList<EpCountFigures> Counts, EpPrediction? Prediction, EpPrediction? PredictionAlone, IReadOnlyList<RankLane> MedianLayer)
{
    /// <summary>Sums a run up.</summary>
    public static EpReport Of(EpRun run, EpSetting setting, EpRouting routing)
    {
        EpCountFigures[] counts = [.. run.Counts.Select((ranks, i) => Count(ranks, run.Samples, i, setting, routing))];
        if (run.RealRanks == 0)
            return new EpReport(null, counts, null, null, []);
        double middle = Statistics.Median([.. run.Samples.Select(sample => sample.RealSeconds)]);
        return new EpReport(
            RealFigures(run, setting, routing), counts, EpPrediction.Of(run.Samples, sample => sample.Beside), EpPrediction.Of(run.Samples, sample => sample.Virtual[0]), run.Samples.MinBy(sample => Math.Abs(sample.RealSeconds - middle))!.Lanes);
    }

    private static EpCountFigures Count(int ranks, IReadOnlyList<EpSample> samples, int index, EpSetting setting, EpRouting routing)
    {
        double together = Median(samples, s => s.Virtual[index].Seconds), one = Median(samples, s => s.OneSeconds[index]);
        int rows = ranks * setting.Tokens;
        return new EpCountFigures(
            ranks, EpRouting.Balancedness(setting, routing.Of(ranks)), 1e3 * together, rows / together, 1e3 * Median(samples, s => s.Virtual[index].ComputeSeconds), 1e3 * one, rows / one);
    }

    private static EpRealFigures RealFigures(EpRun run, EpSetting setting, EpRouting routing)
    {
        int ranks = run.RealRanks, rows = ranks * setting.Tokens;
        var samples = run.Samples;
        var plans = routing.Of(ranks);
        double[] seconds = [.. samples.Select(sample => sample.RealSeconds)];
        double p50 = Statistics.Median(seconds), rowTheory = 0, sumTheory = 0;
        for (int layer = 0; layer < setting.Layers; layer++)
        {
            var (there, back) = Theory(setting, plans, layer);
            (rowTheory, sumTheory) = (rowTheory + there, sumTheory + back);
        }

        // On a rank that waits longer than another, the difference is the other's work.
        double pure = Median(samples, s => s.Lanes.Min(lane => lane.ExchangeWaitSeconds)), exposed = Median(samples, s => s.Lanes.Min(lane => lane.Of(LaneStep.Waiting)));
        return new EpRealFigures(
            ranks, rows / p50, 1e3 * p50, 1e3 * Statistics.Quantile(seconds, 0.99), EpRouting.Balancedness(setting, plans),
            Median(samples, s => s.Lanes.Average(lane => lane.Of(LaneStep.Waiting) / lane.Seconds)),
            samples.Average(s => s.Lanes.Sum(lane => (double)lane.RowBytes)) / rows, rowTheory / setting.Layers / rows,
            samples.Average(s => s.Lanes.Sum(lane => (double)lane.SumBytes)) / rows, sumTheory / setting.Layers / rows,
            1e3 * Median(samples, s => s.Lanes.Max(lane => lane.ExchangeSeconds)), 1e3 * pure, 1e3 * exposed, 1 - exposed / pure,
            1e3 * Window(samples, setting, chunks => chunks.FirstOrDefault()), 1e3 * Window(samples, setting, chunks => chunks.Skip(2).Sum()),
            1e3 * Median(samples, s => s.Lanes.Average(lane => lane.Of(LaneStep.Shared))));
    }

    // Of slices, and of few rows, nothing is computed before all has come.
    private static double Window(IReadOnlyList<EpSample> samples, EpSetting setting, Func<double[], double> part)
    {
        int ranks = samples[0].Lanes.Length;
        return setting.IsSlice(ranks) || ranks * setting.Tokens <= AllToAllExchange.FewRows ? 0
            : Median(samples, s => s.Lanes.Average(lane => part([.. lane.Segments.Where(segment => segment.Step == LaneStep.Experts).Select(segment => segment.Seconds)])));
    }

    // Bytes of a layer, over all ranks.
    private static (double Rows, double Sums) Theory(EpSetting setting, Engine.Moe.RoutingPlan[][] plans, int layer)
    {
        int ranks = plans.Length, hidden = setting.Shape.Hidden;
        if (setting.IsSlice(ranks))
        {
            int reduces = setting.Shape.SharedNeurons > 0 ? 2 : 1;
            return (0, reduces * Enumerable.Range(0, ranks).Sum(rank => (double)EpBytes.AllReduce(rank, ranks, ranks * setting.Tokens, hidden, RankCollective.ShareFrom)));
        }

        var placement = setting.Placement(ranks, layer);
        int rowBytes = ActivationRows.WireBytes(KernelSet.Best()[setting.Weights].Activations, hidden);
        double there = 0, back = 0;
        for (int from = 0; from < ranks; from++)
        {
            for (int to = 0; to < ranks; to++)
            {
                if (from == to)
                    continue;
                var (bytes, rows) = EpBytes.Rows(plans[from][layer], placement, to, rowBytes);
                (there, back) = (there + bytes, back + EpBytes.Sums(rows, hidden));
            }
        }

        return (there, back);
    }

    private static double Median(IReadOnlyList<EpSample> samples, Func<EpSample, double> figure) => Statistics.Median([.. samples.Select(figure)]);
}

using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>What one window gave.</summary>
/// <param name="Loss">Sums over its tokens.</param>
/// <param name="DenseSeconds">The time of the run to be near to, all logits included.</param>
/// <param name="Seconds">The time of the other.</param>
internal readonly record struct WindowFigures(LossSums Loss, double DenseSeconds, double Seconds);

/// <summary>What a text's windows give; means are a token's, in nats.</summary>
/// <param name="Name">The text.</param>
/// <param name="Windows">Each window.</param>
/// <param name="DropRate">Share of the routed experts' work that the second run left out; null where there was none.</param>
/// <param name="Expected">The loss that dualsparse.json let expect of the thresholds that the second run took; null where it says nothing.</param>
internal sealed record WindowReport(string Name, IReadOnlyList<WindowFigures> Windows, double? DropRate, ExpectedLoss? Expected = null)
{
    /// <summary>Ids of the whole text, scored or not; null where it isn't known.</summary>
    public int? TextTokens { get; init; }

    /// <summary>Ids predicted.</summary>
    public int Tokens => Windows.Sum(w => w.Loss.Tokens);

    /// <summary>Mean −log p of the targets, in the second run where there is one.</summary>
    public Interval Nll => Mean(w => w.Nll);

    /// <summary>e^NLL.</summary>
    public Interval Perplexity => Nll.Map(Math.Exp);

    /// <summary>NLL of the second run less the first's; null without one.</summary>
    public Interval? DeltaNll => DropRate is null ? null : Mean(w => w.Nll - w.DenseNll);

    /// <summary>KL(first ‖ second); null without a second run.</summary>
    public Interval? KullbackLeibler => DropRate is null ? null : Mean(w => w.KullbackLeibler);

    /// <summary>Share of predictions whose best id differs; null without a second run.</summary>
    public Interval? Flips => DropRate is null ? null : Mean(w => w.Flips);

    /// <summary>How many times as quick the second run was, the median over windows; null without one.</summary>
    public Interval? Speed => DropRate is null ? null : PairedBootstrap.Median([.. Windows.Select(w => w.DenseSeconds / w.Seconds)]);

    private Interval Mean(Func<LossSums, double> sum) =>
        PairedBootstrap.Ratio([.. Windows.Select(w => sum(w.Loss))], [.. Windows.Select(w => (double)w.Loss.Tokens)]);
}

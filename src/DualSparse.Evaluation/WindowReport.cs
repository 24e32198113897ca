using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>The result of one window.</summary>
/// <param name="Loss">Sums over its tokens.</param>
/// <param name="DenseSeconds">The time of the reference run, including all logits.</param>
/// <param name="Seconds">The time of the other run.</param>
internal readonly record struct WindowResult(LossSums Loss, double DenseSeconds, double Seconds);

/// <summary>The results of a text's windows; means are per token, in nats.</summary>
/// <param name="Name">The text.</param>
/// <param name="Windows">Each window.</param>
/// <param name="DropRate">The share of the routed experts' work that the second run dropped; null without a second run.</param>
/// <param name="Expected">The expected loss, by dualsparse.json, of the thresholds that the second run used; null if not known.</param>
internal sealed record WindowReport(string Name, IReadOnlyList<WindowResult> Windows, double? DropRate, ExpectedLoss? Expected = null)
{
    /// <summary>Ids of the whole text, scored or not; null where it isn't known.</summary>
    public int? TextTokens { get; init; }

    /// <summary>The number of ids predicted.</summary>
    public int Tokens => Windows.Sum(w => w.Loss.Tokens);

    /// <summary>Mean −log p of the targets, in the second run if there is one.</summary>
    public Interval Nll => Mean(w => w.Nll);

    /// <summary>e^NLL.</summary>
    public Interval Perplexity => Nll.Map(Math.Exp);

    /// <summary>NLL of the second run minus the first's; null without a second run.</summary>
    public Interval? DeltaNll => DropRate is null ? null : Mean(w => w.Nll - w.DenseNll);

    /// <summary>KL(first ‖ second); null without a second run.</summary>
    public Interval? KullbackLeibler => DropRate is null ? null : Mean(w => w.KullbackLeibler);

    /// <summary>The share of predictions whose most probable id differs; null without a second run.</summary>
    public Interval? Flips => DropRate is null ? null : Mean(w => w.Flips);

    /// <summary>The speed of the second run relative to the first, the median over windows; null without a second run.</summary>
    public Interval? Speed => DropRate is null ? null : PairedBootstrap.Median([.. Windows.Select(w => w.DenseSeconds / w.Seconds)]);

    private Interval Mean(Func<LossSums, double> sum) =>
        PairedBootstrap.Ratio([.. Windows.Select(w => sum(w.Loss))], [.. Windows.Select(w => (double)w.Loss.Tokens)]);
}

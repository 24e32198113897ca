using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>A way to balance ranks whose loss on tasks is measured.</summary>
/// <param name="Ranks">N.</param>
/// <param name="Mode">What is done.</param>
/// <param name="Rule">By which rule.</param>
/// <param name="Low">What ranks switch to.</param>
/// <param name="MarkedAbove">M_d; under <see cref="BalanceRule.All"/> without meaning.</param>
/// <param name="Rate">The share of work that is asked to be dropped; 0: nothing is.</param>
internal sealed record RealbVariant(int Ranks, BalanceMode Mode, BalanceRule Rule, LowFormat Low, double MarkedAbove, double Rate)
{
    // The published setting, and the two that the paper compares it with.
    private static readonly double[] s_marked = [0, 0.7, 0.9];

    // Where a quarter of the work, and nearly half of it, is left out everywhere.
    private static readonly double[] s_rates = [0.25, 0.45];

    /// <summary>Its name.</summary>
    public string Name => (Mode, Rule) switch
    {
        (BalanceMode.None, _) => "none",
        (BalanceMode.Precision, BalanceRule.All) => $"all {To}",
        (BalanceMode.Precision, BalanceRule.Paper) => FormattableString.Invariant($"{To}, paper, M_d {MarkedAbove}"),
        (BalanceMode.Precision, _) => $"{To}, makespan",
        (BalanceMode.Drop, BalanceRule.All) => FormattableString.Invariant($"drop {Rate} everywhere"),
        (BalanceMode.Drop, _) => FormattableString.Invariant($"drop {Rate}, makespan"),
        _ => FormattableString.Invariant($"drop {Rate} and {To}, makespan"),
    };

    private string To => Low.ToString().ToLowerInvariant();

    /// <summary>What is alike on all ranks, and so the same whatever their number: they differ in the order of sums alone.</summary>
    /// <param name="ranks">The number for which loads are predicted.</param>
    public static IReadOnlyList<RealbVariant> Alike(int ranks) => [.. Lows.Select(low => new RealbVariant(ranks, BalanceMode.Precision, BalanceRule.All, low, 0, 0))];

    /// <summary>Nothing, so that what another order of sums does is known; then the rules by which ranks switch: the paper's and ours.</summary>
    public static IReadOnlyList<RealbVariant> Rules(int ranks) =>
    [
        new(ranks, BalanceMode.None, BalanceRule.All, LowFormat.Int8, 0, 0),
        .. from low in Lows
           from variant in s_marked.Select(marked => new RealbVariant(ranks, BalanceMode.Precision, BalanceRule.Paper, low, marked, 0))
               .Append(new RealbVariant(ranks, BalanceMode.Precision, BalanceRule.Makespan, low, s_marked[1], 0))
           select variant,
    ];

    /// <summary>Thresholds, alone and with int8.</summary>
    public static IReadOnlyList<RealbVariant> Drops(int ranks) =>
    [
        .. from rate in s_rates
           from variant in (RealbVariant[])
           [
               new(ranks, BalanceMode.Drop, BalanceRule.All, LowFormat.Int8, s_marked[1], rate), new(ranks, BalanceMode.Drop, BalanceRule.Makespan, LowFormat.Int8, s_marked[1], rate),
               new(ranks, BalanceMode.Both, BalanceRule.Makespan, LowFormat.Int8, s_marked[1], rate),
           ]
           select variant,
    ];

    /// <summary>The model's options: as so many ranks, experts in the checkpoint's order, and balanced so.</summary>
    public EngineOptions Options(string folder) => RankPlacement.Choose(folder, Ranks, PlacementKind.Own with { InOrder = true }).Apply(new EngineOptions()) with
    {
        Balance = Mode == BalanceMode.None ? null : new BalanceSetting(Mode, Rates) { Rule = Rule, Low = Low, MarkedAbove = MarkedAbove, Knee = 0 },
    };

    /// <summary>What a text drops.</summary>
    public DropRequest Drop => Rate > 0 ? new DropRequest { Rate = Rate } : DropRequest.None;

    // Bandwidth and conversion as if free, int8 twice as fast and NVFP4 four times, as where they are computed: loads by arithmetic alone.
    private ExpertRates Rates => new(1e15, 1e9, Low == LowFormat.Int8 ? 2e9 : 4e9, 1e15);

    // MXFP4 loses more at the same speed.
    private static LowFormat[] Lows => [LowFormat.Int8, LowFormat.NvFp4];
}

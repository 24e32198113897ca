namespace DualSparse.Engine.Moe.Balance;

/// <summary>What ranks do about uneven loads. Under each of them a row depends on the others of its batch.</summary>
[Flags]
internal enum BalanceMode
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Ranks that would be done early drop less (arXiv 2508.18376, §4.3).</summary>
    Drop = 1,

    /// <summary>Ranks that would be done late compute in a lower precision (arXiv 2604.19503).</summary>
    Precision = 2,

    /// <summary>Both.</summary>
    Both = Drop | Precision,
}

/// <summary>By which rule.</summary>
internal enum BalanceRule
{
    /// <summary>Ours: thresholds that keep every rank under the highest load (<see cref="ThresholdRule"/>), the smallest set of ranks to switch (<see cref="PrecisionRule"/>).</summary>
    Makespan,

    /// <summary>The papers'.</summary>
    Paper,

    /// <summary>All ranks alike: the same thresholds, all in the lower precision. What a balance is to be compared with.</summary>
    All,
}

/// <summary>What ranks switch to.</summary>
internal enum LowFormat
{
    /// <summary>int8 weights and activations, by the machine's kernel.</summary>
    Int8,

    /// <summary>NVFP4 weights and activations, emulated exactly in f32: slow, for its accuracy.</summary>
    NvFp4,

    /// <summary>MXFP4, likewise.</summary>
    MxFp4,
}

/// <summary>How loads are balanced between ranks; all ranks have the same.</summary>
/// <param name="Mode">What is done.</param>
/// <param name="Rates">What times are predicted by.</param>
internal sealed record BalanceSetting(BalanceMode Mode, ExpertRates Rates)
{
    /// <summary>By which rule.</summary>
    public BalanceRule Rule { get; init; }

    /// <summary>What ranks switch to.</summary>
    public LowFormat Low { get; init; }

    /// <summary>C of the paper's rule: a rank is hot above so many times the mean load. It was evaluated with 1.</summary>
    public double HotAbove { get; init; } = 1;

    /// <summary>M_d: a rank may switch where more than this share of its pairs is of marked rows; 0: any may. The paper's is 0.7.</summary>
    public double MarkedAbove { get; init; } = 0.7;

    /// <summary>Ranks switch only in passes of more rows than this, of all ranks together; null: where it is predicted to pay (<see cref="ExpertRates.Knee"/>).</summary>
    public int? Knee { get; init; }

    /// <summary>Whether experts that the same memory has from the pass before aren't converted again: to measure what converting costs, where passes repeat.</summary>
    public bool KeepsConverted { get; init; }

    /// <summary>Whether thresholds are balanced.</summary>
    public bool Drops => (Mode & BalanceMode.Drop) != 0;

    /// <summary>Whether ranks may switch.</summary>
    public bool Switches => (Mode & BalanceMode.Precision) != 0;
}

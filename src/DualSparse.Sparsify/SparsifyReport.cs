using System.Text.Json;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;

namespace DualSparse.Sparsify;

/// <summary>The contents of dualsparse.json for a checkpoint with reordered neurons.</summary>
/// <param name="Metric">The importance metric, 1 to 4.</param>
/// <param name="TimesDownNorm">Whether it is multiplied by ‖W2_n‖₂.</param>
/// <param name="Calibration">The text that it was measured on.</param>
/// <param name="Thresholds">Thresholds T ∓ δ on ŝ for drop rates, from the calibration text.</param>
/// <param name="Layers">The layers with routed experts.</param>
/// <param name="Methods">Thresholds and expected loss by method and rate (<see cref="DropProfile"/>); null if they weren't searched.</param>
internal sealed record SparsifyReport(
    int Metric, bool TimesDownNorm, CalibrationSource Calibration, IReadOnlyList<RateThresholds> Thresholds, IReadOnlyList<LayerReport> Layers,
    IReadOnlyList<DropMethod>? Methods = null)
{
    /// <summary>Writes the report to a folder.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Save(string folder) => File.WriteAllBytes(Path.Combine(folder, DropProfile.FileName), JsonSerializer.SerializeToUtf8Bytes(this, DropProfile.Json));

    /// <summary>Reads a folder's report; null if there is none.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static SparsifyReport? Find(string folder) => DropProfile.Read<SparsifyReport>(folder);
}

/// <summary>Where the calibration text came from.</summary>
/// <param name="Source">The file's name.</param>
/// <param name="Windows">The number of windows, each a separate text.</param>
/// <param name="Tokens">The number of tokens in them.</param>
internal sealed record CalibrationSource(string Source, int Windows, long Tokens);

/// <summary>Thresholds and their drop rate on the calibration text.</summary>
/// <param name="Drop">The target rate.</param>
/// <param name="Major">T_major.</param>
/// <param name="Minor">T_minor.</param>
/// <param name="Achieved">The rate on the calibration text.</param>
internal sealed record RateThresholds(double Drop, float Major, float Minor, double Achieved);

/// <summary>One layer of a report.</summary>
/// <param name="Layer">Its index.</param>
/// <param name="TokensPerExpert">The number of calibration tokens routed to each expert.</param>
/// <param name="WeightNormExperts">Experts with too few tokens, whose neurons were ordered by their weights' norms.</param>
/// <param name="ScoreQuantiles">The 5 %, 10 %, … 95 % quantiles of ŝ.</param>
/// <param name="OutputNorms">[experts] n_e, the mean ‖f_e(x)‖₂ over pairs of the lower half of a token's choice; null if nothing was searched.</param>
internal sealed record LayerReport(
    int Layer, IReadOnlyList<long> TokensPerExpert, IReadOnlyList<int> WeightNormExperts, IReadOnlyList<double> ScoreQuantiles,
    IReadOnlyList<float>? OutputNorms = null);

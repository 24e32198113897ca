using System.Text.Json;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;

namespace DualSparse.Sparsify;

/// <summary>What dualsparse.json says about a checkpoint whose neurons were reordered.</summary>
/// <param name="Metric">The importance metric, 1 to 4.</param>
/// <param name="TimesDownNorm">Whether it is multiplied with ‖W2_n‖₂.</param>
/// <param name="Calibration">The text it was measured on.</param>
/// <param name="Thresholds">Thresholds on ŝ for drop rates, each T ∓ δ, as the calibration text has them.</param>
/// <param name="Layers">The layers with routed experts.</param>
/// <param name="Methods">What to drop, by method and rate, and the loss to expect (<see cref="DropProfile"/>); null where it wasn't searched.</param>
internal sealed record SparsifyReport(
    int Metric, bool TimesDownNorm, CalibrationSource Calibration, IReadOnlyList<RateThresholds> Thresholds, IReadOnlyList<LayerReport> Layers,
    IReadOnlyList<DropMethod>? Methods = null)
{
    /// <summary>Writes it into a folder.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Save(string folder) => File.WriteAllBytes(Path.Combine(folder, DropProfile.FileName), JsonSerializer.SerializeToUtf8Bytes(this, DropProfile.Json));

    /// <summary>Reads a folder's; null where there is none.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static SparsifyReport? Find(string folder) => DropProfile.Read<SparsifyReport>(folder);
}

/// <summary>Where the calibration text came from.</summary>
/// <param name="Source">The file's name.</param>
/// <param name="Windows">Windows, each a text of its own.</param>
/// <param name="Tokens">Tokens in them.</param>
internal sealed record CalibrationSource(string Source, int Windows, long Tokens);

/// <summary>Thresholds and the drop rate that they gave on the calibration text.</summary>
/// <param name="Drop">The rate aimed at.</param>
/// <param name="Major">T_major.</param>
/// <param name="Minor">T_minor.</param>
/// <param name="Achieved">The rate on the calibration text.</param>
internal sealed record RateThresholds(double Drop, float Major, float Minor, double Achieved);

/// <summary>One layer of a report.</summary>
/// <param name="Layer">Its index.</param>
/// <param name="TokensPerExpert">Calibration tokens that each expert saw.</param>
/// <param name="WeightNormExperts">Experts that saw too few and were ordered by their weights' norms.</param>
/// <param name="ScoreQuantiles">ŝ below which 5, 10, … 95 % of the pairs lie.</param>
/// <param name="OutputNorms">[experts] n_e, the mean ‖f_e(x)‖₂ over pairs of the lower half of a token's choice; null where nothing was searched.</param>
internal sealed record LayerReport(
    int Layer, IReadOnlyList<long> TokensPerExpert, IReadOnlyList<int> WeightNormExperts, IReadOnlyList<double> ScoreQuantiles,
    IReadOnlyList<float>? OutputNorms = null);

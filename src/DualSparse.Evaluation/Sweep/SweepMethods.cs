using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Evaluation.Sweep;

/// <summary>The methods that a sweep compares.</summary>
internal static class SweepMethods
{
    /// <summary>The paper's rule on reconstructed neurons: the reference of the others.</summary>
    public const string Paper = "2t";

    /// <summary>Names that other parts use.</summary>
    public const string OneThreshold = "1t", Stored = "stored", Random = "random", Reversed = "reversed";

    // δ of the paper: T_major and T_minor lie this far from T.
    private const float Delta = 0.01f;

    // Separates a method's name from its seed.
    private const char SeedMark = '-';

    /// <summary>A method's name without the seed.</summary>
    public static string Kind(string name) => name.StartsWith(Random + SeedMark, StringComparison.Ordinal) ? Random : name;

    /// <summary>Every method that a checkpoint allows: the paper's rule and its controls, baselines of equal work, and ours with its parts.</summary>
    /// <param name="profile">The checkpoint's dualsparse.json; null: none.</param>
    /// <param name="outputNorms">By layer, [experts] n_e of the calibration; null: unknown, and the methods by contribution are omitted.</param>
    /// <param name="original">Whether the original model is available.</param>
    /// <param name="seeds">The number of random orders.</param>
    public static IReadOnlyList<SweepMethod> Of(DropProfile? profile, IReadOnlyList<IReadOnlyList<float>?>? outputNorms, bool original, int seeds)
    {
        List<SweepMethod> methods =
        [
            new(OneThreshold, "one threshold on the gating score", (_, x) => Gate((float)x, 0)),
            new(Paper, "the paper's rule: two thresholds, neurons as sparsified", TwoThresholds),
        ];
        if (original)
            methods.Add(new(Stored, "the same, neurons as the original stores them", TwoThresholds, NeuronHalves.Original));
        for (int seed = 1; seed <= seeds; seed++)
            methods.Add(new($"{Random}{SeedMark}{seed}", "the same, neurons in a random order", TwoThresholds, NeuronHalves.Random, seed));
        methods.Add(new(Reversed, "the same, least important neurons first", TwoThresholds, NeuronHalves.Reversed));
        methods.Add(new("top-k", "a smaller top-k", (_, x) => One(DropScore.Rank, (float)x)));
        methods.Add(new("relative", "ik_llama.cpp's rule: the score beside the best one's", (_, x) => One(DropScore.RelativeToBest, (float)x)));
        if (profile?.Methods is not [var best, ..])
            return methods;

        methods.Add(new(best.Name, "the default method of dualsparse.json", (_, x) => Best(best, x)));
        methods.Add(new("means", "2t with mean compensation", (_, x) => Gate((float)x, Delta) with { Compensate = true }));
        methods.Add(new("layers", "2t, each layer drops what it does in the default method", (plans, x) => ByLayer(plans, Best(best, x), DropScore.Gate, null)));
        if (outputNorms is not null)
        {
            methods.Add(new("contribution", "2t on the expert's share of the output", (_, x) => Contribution(outputNorms, DropThresholds.Around((float)x, Delta))));
            methods.Add(new("combination", "contribution, layers and means together",
                (plans, x) => ByLayer(plans, Best(best, x), DropScore.Contribution, outputNorms) with { Compensate = true }));
        }

        return methods;
    }

    private static DropRequest TwoThresholds(GatingPlans plans, double dial) => Gate((float)dial, Delta);

    private static DropRequest Gate(float threshold, float delta) => new() { Thresholds = DropThresholds.Around(threshold, delta) };

    private static DropRequest One(DropScore score, float threshold) => new() { Score = score, Thresholds = DropThresholds.Around(threshold, 0) };

    private static DropRequest Best(DropMethod method, double dial) => method.Request(dial * method.Points[^1].Drop);

    private static DropRequest Contribution(IReadOnlyList<IReadOnlyList<float>?> norms, DropThresholds thresholds) => new()
    {
        Score = DropScore.Contribution,
        Layers = [.. norms.Select(n => new LayerThresholds(n is null ? DropThresholds.None : thresholds, Norms: n))],
    };

    // Thresholds T ∓ δ for each layer that drop as much of the layer as another rule does.
    private static DropRequest ByLayer(GatingPlans plans, DropRequest shares, DropScore score, IReadOnlyList<IReadOnlyList<float>?>? norms)
    {
        var rates = plans.LayerRates(shares);
        var scores = plans.Scores(score, norms);
        return new DropRequest
        {
            Score = score,
            Layers = [.. rates.Select((rate, l) => new LayerThresholds(
                rate > 0 ? scores[l].Thresholds(rate, Delta) : DropThresholds.None, Norms: norms?[l]))],
        };
    }
}

using System.Globalization;

namespace DualSparse.Sparsify;

/// <summary>The importance of a neuron: one of the four sums, optionally times the norm of the neuron's output weights, ‖W2_n‖₂.</summary>
/// <param name="Sum">The sum, 1 to 4 (<see cref="NeuronImportance"/>).</param>
/// <param name="TimesDownNorm">Whether it is multiplied by ‖W2_n‖₂.</param>
internal readonly record struct ImportanceMetric(int Sum, bool TimesDownNorm = false)
{
    /// <summary>The default metric: the one with the least loss at equal drop on the model that ships.</summary>
    public static ImportanceMetric Default => new(4);

    /// <summary>Reads "4" or, times the norm, "4w".</summary>
    /// <exception cref="ArgumentException">It is neither.</exception>
    public static ImportanceMetric Parse(string text)
    {
        bool norm = text.EndsWith('w');
        return int.TryParse(norm ? text[..^1] : text, NumberStyles.None, CultureInfo.InvariantCulture, out int sum) && sum is >= 1 and <= NeuronImportance.Metrics
            ? new ImportanceMetric(sum, norm)
            : throw new ArgumentException($"the metric is {text}, expected 1 to {NeuronImportance.Metrics}, or 1w to {NeuronImportance.Metrics}w");
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() => TimesDownNorm ? $"{Sum}w" : $"{Sum}";
}

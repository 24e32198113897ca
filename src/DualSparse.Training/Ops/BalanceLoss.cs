namespace DualSparse.Training.Ops;

/// <summary>
/// The loss that keeps experts equally busy: E · Σ_e f_e · p̄_e with f_e an expert's pairs, and p̄_e its mean probability (Switch Transformer,
/// arXiv 2101.03961, eq. 4–6), over what <see cref="BalanceRule"/> says. Its gradient goes through p̄ alone.
/// </summary>
internal sealed class BalanceLoss
{
    // [layers or 1, E] dLoss / dp of every token.
    private readonly double[][] gradients;

    /// <summary>Computes the loss of a batch.</summary>
    /// <param name="rule">The means.</param>
    /// <param name="layers">The totals of every MoE layer, at least one, each of as many tokens.</param>
    /// <param name="topK">k.</param>
    public BalanceLoss(BalanceRule rule, IReadOnlyList<RouterTotals> layers, int topK)
    {
        double tokens = layers[0].Tokens;
        if (rule == BalanceRule.AllLayers)
        {
            double all = layers.Count * tokens;
            var pairs = new double[layers[0].Pairs.Length];
            foreach (var layer in layers)
            {
                for (int e = 0; e < pairs.Length; e++)
                    pairs[e] += layer.Pairs[e];
            }

            gradients = [Gradients(pairs, all, all)];
        }
        else
        {
            gradients = [.. layers.Select(layer => Gradients([.. layer.Pairs.Select(n => (double)n)], tokens * topK, layers.Count * tokens))];
        }

        // The loss is linear in the probabilities.
        for (int l = 0; l < layers.Count; l++)
            Value += Of(l).Zip(layers[l].Probabilities, (g, p) => g * p).Sum();
    }

    /// <summary>The loss, before its factor.</summary>
    public double Value { get; }

    /// <summary>[E]: <paramref name="factor"/> · dLoss / dp_e, the same for every token of a layer.</summary>
    /// <param name="layer">Which of the MoE layers.</param>
    /// <param name="factor">What multiplies the loss in what is minimised.</param>
    public float[] Gradient(int layer, double factor) => [.. Of(layer).Select(g => (float)(factor * g))];

    private double[] Of(int layer) => gradients[gradients.Length == 1 ? 0 : layer];

    // E · f_e / (tokens that p̄ is a mean of).
    private static double[] Gradients(double[] pairs, double pairsOfAll, double tokensOfAll) => [.. pairs.Select(n => pairs.Length * (n / pairsOfAll) / tokensOfAll)];
}

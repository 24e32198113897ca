using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public class BalanceLossTests
{
    private const int Experts = 6, Layers = 3, Tokens = 40, TopK = 2;

    [Fact]
    public void Layers_are_taken_together_or_each_by_itself()
    {
        var layers = Random();
        // Written out: sums over layers first, or means over layers last.
        double together = 0, each = 0;
        for (int e = 0; e < Experts; e++)
        {
            together += Experts * (layers.Sum(l => l.Pairs[e]) / (double)(Layers * Tokens)) * (layers.Sum(l => l.Probabilities[e]) / (Layers * Tokens));
            each += layers.Sum(l => Experts * (l.Pairs[e] / (double)(Tokens * TopK)) * (l.Probabilities[e] / Tokens)) / Layers;
        }

        Assert.Equal(together, new BalanceLoss(BalanceRule.AllLayers, layers, TopK).Value, 1e-12);
        Assert.Equal(each, new BalanceLoss(BalanceRule.EachLayer, layers, TopK).Value, 1e-12);
    }

    [Theory]
    [InlineData(nameof(BalanceRule.AllLayers))]
    [InlineData(nameof(BalanceRule.EachLayer))]
    public void Gradient_is_that_of_a_tokens_probability(string name)
    {
        var rule = Enum.Parse<BalanceRule>(name);
        var layers = Random();
        var loss = new BalanceLoss(rule, layers, TopK);
        for (int l = 0; l < Layers; l++)
        {
            float[] gradient = loss.Gradient(l, factor: 0.5);
            for (int e = 0; e < Experts; e++)
            {
                layers[l].Probabilities[e] += 1;
                Assert.Equal(0.5 * (new BalanceLoss(rule, layers, TopK).Value - loss.Value), gradient[e], 1e-8);
                layers[l].Probabilities[e] -= 1;
            }
        }
    }

    [Theory]
    [InlineData(nameof(BalanceRule.AllLayers), TopK)]
    [InlineData(nameof(BalanceRule.EachLayer), 1)]
    public void Even_loads_have_the_sum_of_shares(string name, double expected)
    {
        var layer = new RouterTotals(Experts) { Tokens = 3 * Experts };
        Array.Fill(layer.Pairs, 3 * TopK);
        Array.Fill(layer.Probabilities, 3);
        Assert.Equal(expected, new BalanceLoss(Enum.Parse<BalanceRule>(name), [layer, layer], TopK).Value, 1e-12);
    }

    private static RouterTotals[] Random()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Layers).Select(_ =>
        {
            var totals = new RouterTotals(Experts) { Tokens = Tokens };
            for (int t = 0; t < Tokens; t++)
            {
                var p = Enumerable.Range(0, Experts).Select(_ => random.NextDouble()).ToArray();
                for (int e = 0; e < Experts; e++)
                    totals.Probabilities[e] += p[e] / p.Sum();
                foreach (int e in Enumerable.Range(0, Experts).OrderByDescending(e => p[e]).Take(TopK))
                    totals.Pairs[e]++;
            }

            return totals;
        })];
    }
}

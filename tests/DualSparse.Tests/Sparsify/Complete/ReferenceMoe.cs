using DualSparse.Sparsify.Complete;

namespace DualSparse.Tests.Sparsify.Complete;

/// <summary>A mixture of experts in double precision, by the plainest reading of every router that the complete transformation knows.</summary>
internal sealed class ReferenceMoe
{
    public required RouterKind Router { get; init; }

    /// <summary>The experts are chosen by their logits, and softmax is taken over those alone.</summary>
    public bool ChosenFirst { get; init; }

    public double RoutedScale { get; init; } = 1;

    /// <summary>[experts + identity experts, hidden]</summary>
    public required double[][] Gate { get; init; }

    public required double[] RouterBias { get; init; }

    public required double[] CorrectionBias { get; init; }

    public required Expert[] Experts { get; init; }

    /// <summary>The same function from the cut experts, as <paramref name="completion"/> tells.</summary>
    public ReferenceMoe Complete(Completion completion, int parts) => new()
    {
        Router = Router with
        {
            Experts = Router.Experts * parts,
            IdentityExperts = Router.IdentityExperts * parts,
            TopK = completion.TopK,
            Groups = completion.Groups,
            TopKGroups = completion.TopKGroups,
        },
        ChosenFirst = ChosenFirst,
        RoutedScale = RoutedScale,
        Gate = [.. completion.Order.Select(part => Gate[part.Expert])],
        RouterBias = [.. completion.Order.Select(part => RouterBias[part.Expert])],
        CorrectionBias = [.. completion.Order.Select(part => CorrectionBias[part.Expert] * completion.CorrectionBiasScale)],
        Experts = [.. completion.Order.Take(Router.Experts * parts).Select(part => Experts[part.Expert].Cut(part.Part, parts, completion))],
    };

    public double[] Forward(double[] x)
    {
        double[] logits = [.. Gate.Select((row, e) => Dot(row, x) + RouterBias[e])];
        double[] scores = Router.Scoring == Scoring.Sigmoid ? [.. logits.Select(l => 1 / (1 + Math.Exp(-l)))] : Softmax(logits);
        double[] choice = ChosenFirst ? logits : [.. scores.Select((s, e) => s + CorrectionBias[e])];
        int[] allowed = Allowed(choice);
        int[] chosen = [.. allowed.OrderByDescending(e => choice[e]).Take(Router.TopK)];
        double[] weights = ChosenFirst ? Softmax([.. chosen.Select(e => logits[e])]) : [.. chosen.Select(e => scores[e])];
        double sum = Router.Renormalised ? weights.Sum() : 1;
        double[] y = new double[x.Length];
        for (int k = 0; k < chosen.Length; k++)
        {
            double[] output = chosen[k] < Experts.Length ? Experts[chosen[k]].Forward(x) : x;
            for (int d = 0; d < y.Length; d++)
                y[d] += RoutedScale * weights[k] / sum * output[d];
        }

        return y;
    }

    private int[] Allowed(double[] choice)
    {
        int size = choice.Length / Router.Groups, best = Router.GroupScore == GroupScore.Best ? 1 : 2;
        var groups = Enumerable.Range(0, Router.Groups)
            .OrderByDescending(g => Router.Groups == 1 ? 0 : choice.Skip(g * size).Take(size).OrderDescending().Take(best).Sum())
            .Take(Router.TopKGroups);
        return [.. groups.SelectMany(g => Enumerable.Range(g * size, size)).Order()];
    }

    private static double[] Softmax(double[] logits)
    {
        double sum = logits.Sum(Math.Exp);
        return [.. logits.Select(l => Math.Exp(l) / sum)];
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (p, q) => p * q).Sum();

    /// <summary>An expert with biases everywhere: rows of W1, W3 and W2 are neurons.</summary>
    public sealed record Expert(double[][] W1, double[] B1, double[][] W3, double[] B3, double[][] W2, double[] B2)
    {
        public double[] Forward(double[] x)
        {
            double[] y = [.. B2];
            for (int n = 0; n < W1.Length; n++)
            {
                double gate = Dot(W1[n], x) + B1[n], hidden = gate / (1 + Math.Exp(-gate)) * (Dot(W3[n], x) + B3[n]);
                for (int d = 0; d < y.Length; d++)
                    y[d] += hidden * W2[n][d];
            }

            return y;
        }

        public Expert Cut(int part, int parts, Completion completion)
        {
            int size = W1.Length / parts;
            var range = new Range(part * size, (part + 1) * size);
            return new Expert(
                W1[range], B1[range], W3[range], B3[range],
                [.. W2[range].Select(row => row.Select(w => w * completion.DownScale).ToArray())],
                [.. B2.Select(b => b * completion.DownBiasScale)]);
        }
    }
}

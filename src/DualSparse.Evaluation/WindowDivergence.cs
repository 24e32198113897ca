using DualSparse.Engine;

namespace DualSparse.Evaluation;

/// <summary>How two models differ on windows of text.</summary>
/// <param name="Tokens">Ids predicted.</param>
/// <param name="ReferenceNll">Mean −log p of the targets under the reference, nats a token.</param>
/// <param name="Nll">The same under the other model.</param>
/// <param name="KullbackLeibler">Mean KL(reference ‖ other), nats a token.</param>
/// <param name="Flips">Share of predictions whose best id differs.</param>
public sealed record DivergenceReport(int Tokens, double ReferenceNll, double Nll, double KullbackLeibler, double Flips);

/// <summary>Runs two models over the same windows, each window scored afresh.</summary>
public static class WindowDivergence
{
    /// <summary>Compares.</summary>
    /// <param name="reference">The model to be near to.</param>
    /// <param name="other">The model to be judged; the same vocabulary.</param>
    /// <param name="inputs">Windows of ids.</param>
    /// <param name="targets">The ids that follow each of them.</param>
    public static DivergenceReport Compare(Transformer reference, Transformer other, IReadOnlyList<int[]> inputs, IReadOnlyList<int[]> targets)
    {
        int vocabulary = reference.Config.VocabSize, tokens = 0, flips = 0;
        double referenceNll = 0, nll = 0, divergence = 0;
        for (int w = 0; w < inputs.Count; w++)
        {
            using var theirCache = reference.NewCache(inputs[w].Length);
            using var ourCache = other.NewCache(inputs[w].Length);
            var theirs = reference.Forward(theirCache, inputs[w], LogitRows.All);
            var ours = other.Forward(ourCache, inputs[w], LogitRows.All);
            for (int t = 0; t < inputs[w].Length; t++)
            {
                var p = theirs.Slice(t * vocabulary, vocabulary);
                var q = ours.Slice(t * vocabulary, vocabulary);
                referenceNll += Distributions.LogSumExp(p) - p[targets[w][t]];
                nll += Distributions.LogSumExp(q) - q[targets[w][t]];
                divergence += Distributions.KullbackLeibler(p, q);
                flips += Distributions.Best(p) == Distributions.Best(q) ? 0 : 1;
            }

            tokens += inputs[w].Length;
        }

        return new DivergenceReport(tokens, referenceNll / tokens, nll / tokens, divergence / tokens, (double)flips / tokens);
    }
}

namespace DualSparse.Engine.Moe.Drop;

/// <summary>The score of a token-expert pair that is compared with the thresholds; the higher, the more is computed.</summary>
internal enum DropScore
{
    /// <summary>ŝ_k = s_k / Σ_j s_j over the token's experts (arXiv 2508.18376, §4.2): the paper's.</summary>
    Gate,

    /// <summary>a_k = w_k·n_e / Σ_j w_j·n_e(j), n_e an expert's mean output norm: the share of what the experts add to the token.</summary>
    Contribution,

    /// <summary>w_k, the weight of the expert's output.</summary>
    Weight,

    /// <summary>s_k / s_0: the score relative to the token's best (the rule of ik_llama.cpp's smart expert reduction).</summary>
    RelativeToBest,

    /// <summary>1 − k/K for a token's k-th best of K experts, k from 0: a smaller top-k.</summary>
    Rank,
}

/// <summary>Computes the scores that drop decisions use. Pure.</summary>
internal static class DropScores
{
    /// <summary>One token's scores.</summary>
    /// <param name="kind">The kind of score.</param>
    /// <param name="experts">[k] the token's experts, best first.</param>
    /// <param name="weights">[k] the weights of their outputs.</param>
    /// <param name="normalised">[k] ŝ.</param>
    /// <param name="norms">[experts] n_e, for <see cref="DropScore.Contribution"/>.</param>
    /// <param name="scores">[k] receives the scores.</param>
    public static void Of(
        DropScore kind, ReadOnlySpan<int> experts, ReadOnlySpan<float> weights, ReadOnlySpan<float> normalised, ReadOnlySpan<float> norms, Span<float> scores)
    {
        switch (kind)
        {
            case DropScore.Gate:
                normalised.CopyTo(scores);
                break;
            case DropScore.Weight:
                weights.CopyTo(scores);
                break;
            case DropScore.Contribution:
                float sum = 0;
                for (int k = 0; k < experts.Length; k++)
                    sum += scores[k] = weights[k] * norms[experts[k]];
                for (int k = 0; k < experts.Length; k++)
                    scores[k] = sum > 0 ? scores[k] / sum : 0;
                break;
            case DropScore.RelativeToBest:
                for (int k = 0; k < experts.Length; k++)
                    scores[k] = normalised[0] > 0 ? normalised[k] / normalised[0] : 1;
                break;
            case DropScore.Rank:
                for (int k = 0; k < experts.Length; k++)
                    scores[k] = 1 - (float)k / experts.Length;
                break;
        }
    }
}

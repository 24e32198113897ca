namespace DualSparse.Engine.Moe;

/// <summary>How much of an expert a token-expert pair computes.</summary>
internal enum Computation : byte
{
    /// <summary>Both halves.</summary>
    Full,

    /// <summary>The major half only.</summary>
    Major,

    /// <summary>Nothing.</summary>
    Drop,
}

/// <summary>Which experts a batch of tokens goes to: [tokens, k] pairs, each token's best first.</summary>
internal sealed class RoutingPlan
{
    private int[] experts = [];
    private float[] weights = [];
    private float[] scores = [];
    private Computation[] computations = [];

    /// <summary>The number of tokens.</summary>
    public int Tokens { get; private set; }

    /// <summary>k, the number of experts a token.</summary>
    public int TopK { get; private set; }

    /// <summary>[tokens, k] the chosen experts.</summary>
    public Span<int> Experts => experts.AsSpan(0, Tokens * TopK);

    /// <summary>[tokens, k] the weight of each expert's output.</summary>
    public Span<float> Weights => weights.AsSpan(0, Tokens * TopK);

    /// <summary>[tokens, k] the normalised gating scores ŝ: each token's sum to 1 (arXiv 2508.18376, §4); a single expert's is its probability.</summary>
    public Span<float> Scores => scores.AsSpan(0, Tokens * TopK);

    /// <summary>[tokens, k] what is computed of each pair.</summary>
    public Span<Computation> Computations => computations.AsSpan(0, Tokens * TopK);

    /// <summary>Copies another plan.</summary>
    public void CopyFrom(RoutingPlan other)
    {
        Reset(other.Tokens, other.TopK);
        other.Experts.CopyTo(Experts);
        other.Weights.CopyTo(Weights);
        other.Scores.CopyTo(Scores);
        other.Computations.CopyTo(Computations);
    }

    /// <summary>Makes room for a batch, every pair computed in full.</summary>
    public void Reset(int tokens, int topK)
    {
        (Tokens, TopK) = (tokens, topK);
        int pairs = checked(tokens * topK);
        if (experts.Length < pairs)
            (experts, weights, scores, computations) = (new int[pairs], new float[pairs], new float[pairs], new Computation[pairs]);
        Computations.Clear();
    }
}

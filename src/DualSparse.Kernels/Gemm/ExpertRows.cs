namespace DualSparse.Kernels.Gemm;

/// <summary>The rows that one expert computes: consecutive in the batch's list, those that take both halves first.</summary>
/// <param name="Expert">Which expert.</param>
/// <param name="First">Its first row in the list.</param>
/// <param name="Full">Rows that take both halves.</param>
/// <param name="Count">All its rows: those after the first <paramref name="Full"/> take the major half only.</param>
internal readonly record struct ExpertRows(int Expert, int First, int Full, int Count);

/// <summary>Which rows go to which experts, sorted by expert; a token-expert pair that was dropped isn't in it at all.</summary>
internal sealed class ExpertBatch
{
    /// <summary>The experts that have rows.</summary>
    public List<ExpertRows> Experts { get; } = [];

    /// <summary>The token of each row.</summary>
    public List<int> Tokens { get; } = [];

    /// <summary>The weight of each row in its token's sum.</summary>
    public List<float> Weights { get; } = [];

    /// <summary>One expert that every token takes in full: a dense MLP, or shared experts.</summary>
    /// <param name="tokens">Tokens.</param>
    /// <param name="weights">Each token's weight; empty: 1.</param>
    public void SetEveryToken(int tokens, ReadOnlySpan<float> weights = default)
    {
        Clear();
        Experts.Add(new ExpertRows(0, 0, tokens, tokens));
        for (int t = 0; t < tokens; t++)
        {
            Tokens.Add(t);
            Weights.Add(weights.IsEmpty ? 1 : weights[t]);
        }
    }

    /// <summary>Another batch's pairs whose tokens are in a range, in its order.</summary>
    /// <param name="whole">The other.</param>
    /// <param name="first">The first token.</param>
    /// <param name="end">The one behind the last.</param>
    public void SetTokens(ExpertBatch whole, int first, int end)
    {
        Clear();
        foreach (var expert in whole.Experts)
        {
            int row = Tokens.Count, full = 0;
            for (int r = 0; r < expert.Count; r++)
            {
                int token = whole.Tokens[expert.First + r];
                if (token < first || token >= end)
                    continue;
                Tokens.Add(token);
                Weights.Add(whole.Weights[expert.First + r]);
                full += r < expert.Full ? 1 : 0;
            }

            if (Tokens.Count > row)
                Experts.Add(new ExpertRows(expert.Expert, row, full, Tokens.Count - row));
        }
    }

    /// <summary>Another batch's pairs of some of its experts, in its order.</summary>
    /// <param name="whole">The other.</param>
    /// <param name="first">The first of the experts that have rows.</param>
    /// <param name="end">The one behind the last.</param>
    public void SetExperts(ExpertBatch whole, int first, int end)
    {
        Clear();
        for (int i = first; i < end; i++)
        {
            var expert = whole.Experts[i];
            Experts.Add(expert with { First = Tokens.Count });
            Tokens.AddRange(whole.Tokens.Slice(expert.First, expert.Count));
            Weights.AddRange(whole.Weights.Slice(expert.First, expert.Count));
        }
    }

    /// <summary>Empties the lists.</summary>
    public void Clear()
    {
        Experts.Clear();
        Tokens.Clear();
        Weights.Clear();
    }
}

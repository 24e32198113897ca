using System.Numerics.Tensors;

namespace DualSparse.Engine.Serving;

/// <summary>Log-probabilities of the model's own distribution: log p(i) = l_i − max − log Σ_j exp(l_j − max).</summary>
/// <param name="vocabulary">Logits of each row.</param>
internal sealed class LogProbs(int vocabulary)
{
    private readonly float[] scratch = new float[vocabulary];

    /// <summary>The log-probability of one token and the <paramref name="count"/> most probable ones, best first.</summary>
    /// <param name="logits">[vocabulary], finite or minus infinity.</param>
    /// <param name="id">The token.</param>
    /// <param name="count">How many; at most the vocabulary come back.</param>
    public (float Own, IReadOnlyList<TokenLogProb> Best) Of(ReadOnlySpan<float> logits, int id, int count)
    {
        float max = logits[Sampler.CheckedBest(logits)];
        TensorPrimitives.Subtract(logits, max, scratch);
        TensorPrimitives.Exp<float>(scratch, scratch);
        double logSum = max + Math.Log(TensorPrimitives.Sum<float>(scratch));
        var best = Best(logits, Math.Min(count, logits.Length));
        for (int i = 0; i < best.Length; i++)
            best[i] = best[i] with { LogProb = (float)(best[i].LogProb - logSum) };
        return ((float)(logits[id] - logSum), best);
    }

    // A short sorted list that most logits never enter.
    private static TokenLogProb[] Best(ReadOnlySpan<float> logits, int count)
    {
        var best = new TokenLogProb[count];
        if (count == 0)
            return best;
        int filled = 0;
        for (int id = 0; id < logits.Length; id++)
        {
            if (filled == count && !(logits[id] > best[^1].LogProb))
                continue;
            int at = filled < count ? filled++ : count - 1;
            for (; at > 0 && best[at - 1].LogProb < logits[id]; at--)
                best[at] = best[at - 1];
            best[at] = new(id, logits[id]);
        }

        return best;
    }
}

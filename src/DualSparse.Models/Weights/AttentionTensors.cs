namespace DualSparse.Models;

/// <summary>
/// Attention's tensors in one layer; a null is a tensor that the model doesn't have. Grouped-query attention has query, key and value;
/// multi-head latent attention has <see cref="LatentDown"/>, <see cref="LatentNorm"/> and <see cref="LatentUp"/>, and for its queries
/// either <see cref="Query"/> or the three query latents.
/// </summary>
internal sealed class AttentionTensors
{
    internal AttentionTensors(AttentionConfig attention, int hidden, string prefix)
    {
        int queryWidth = attention.Heads * attention.HeadSize, keyWidth = attention.KeyValueHeads * attention.HeadSize;
        int valueWidth = attention.KeyValueHeads * attention.ValueSize;
        bool bias = attention.QkvBias;
        Output = Weight("o_proj", hidden, attention.Heads * attention.ValueSize);
        OutputBias = attention.OutputBias ? Bias("o_proj", hidden) : null;
        if (attention.Mla is not { } mla)
        {
            (Query, QueryBias) = (Weight("q_proj", queryWidth, hidden), bias ? Bias("q_proj", queryWidth) : null);
            (Key, KeyBias) = (Weight("k_proj", keyWidth, hidden), bias ? Bias("k_proj", keyWidth) : null);
            (Value, ValueBias) = (Weight("v_proj", valueWidth, hidden), bias ? Bias("v_proj", valueWidth) : null);
            bool full = attention.QueryKeyNorm == QueryKeyNorm.FullWidth;
            if (attention.QueryKeyNorm != QueryKeyNorm.None)
            {
                QueryNorm = Norm("q_norm", full ? queryWidth : attention.HeadSize);
                KeyNorm = Norm("k_norm", full ? keyWidth : attention.HeadSize);
            }

            return;
        }

        if (mla.QueryRank is { } rank)
        {
            (QueryDown, QueryDownBias) = (Weight("q_a_proj", rank, hidden), bias ? Bias("q_a_proj", rank) : null);
            (QueryLatentNorm, QueryUp) = (Norm("q_a_layernorm", rank), Weight("q_b_proj", queryWidth, rank));
        }
        else
        {
            Query = Weight("q_proj", queryWidth, hidden);
        }

        int latent = mla.KvRank + mla.RopeSize;
        (LatentDown, LatentDownBias) = (Weight("kv_a_proj_with_mqa", latent, hidden), bias ? Bias("kv_a_proj_with_mqa", latent) : null);
        LatentNorm = Norm("kv_a_layernorm", mla.KvRank);
        LatentUp = Weight("kv_b_proj", attention.Heads * (mla.NopeSize + mla.ValueSize), mla.KvRank);

        TensorSpec Weight(string name, long rows, long columns) => new($"{prefix}{name}.weight", rows, columns);
        TensorSpec Bias(string name, long size) => new($"{prefix}{name}.bias", size);
        TensorSpec Norm(string name, long size) => new($"{prefix}{name}.weight", size);
    }

    /// <summary>[heads · head size, hidden].</summary>
    public TensorSpec? Query { get; }

    /// <summary>[heads · head size].</summary>
    public TensorSpec? QueryBias { get; }

    /// <summary>[key-value heads · head size, hidden].</summary>
    public TensorSpec? Key { get; }

    /// <summary>[key-value heads · head size].</summary>
    public TensorSpec? KeyBias { get; }

    /// <summary>[key-value heads · head size, hidden].</summary>
    public TensorSpec? Value { get; }

    /// <summary>[key-value heads · head size].</summary>
    public TensorSpec? ValueBias { get; }

    /// <summary>[hidden, heads · value size].</summary>
    public TensorSpec Output { get; }

    /// <summary>[hidden].</summary>
    public TensorSpec? OutputBias { get; }

    /// <summary>[head size], or [heads · head size] where the norm runs over the full width.</summary>
    public TensorSpec? QueryNorm { get; }

    /// <summary>[head size], or [key-value heads · head size] where the norm runs over the full width.</summary>
    public TensorSpec? KeyNorm { get; }

    /// <summary>Hidden state to query latent, [query rank, hidden].</summary>
    public TensorSpec? QueryDown { get; }

    /// <summary>[query rank].</summary>
    public TensorSpec? QueryDownBias { get; }

    /// <summary>[query rank].</summary>
    public TensorSpec? QueryLatentNorm { get; }

    /// <summary>Query latent to heads, [heads · (nope + rope), query rank].</summary>
    public TensorSpec? QueryUp { get; }

    /// <summary>Hidden state to latent (first rows) and shared RoPE key (last rows), [kv rank + rope, hidden].</summary>
    public TensorSpec? LatentDown { get; }

    /// <summary>[kv rank + rope].</summary>
    public TensorSpec? LatentDownBias { get; }

    /// <summary>[kv rank].</summary>
    public TensorSpec? LatentNorm { get; }

    /// <summary>Latent to each head's key part without position, then its value: [heads · (nope + value), kv rank].</summary>
    public TensorSpec? LatentUp { get; }

    /// <summary>All of them, each once.</summary>
    public IEnumerable<TensorSpec> All() => new[]
    {
        Query, QueryBias, Key, KeyBias, Value, ValueBias, QueryNorm, KeyNorm, QueryDown, QueryDownBias, QueryLatentNorm, QueryUp,
        LatentDown, LatentDownBias, LatentNorm, LatentUp, Output, OutputBias,
    }.OfType<TensorSpec>();
}

namespace DualSparse.Models;

/// <summary>Where queries and keys are normalised (RMS norm with a weight), if at all.</summary>
internal enum QueryKeyNorm
{
    /// <summary>Nowhere.</summary>
    None,

    /// <summary>Each head by itself, with one weight [head size] for all heads (Qwen3-MoE).</summary>
    PerHead,

    /// <summary>The whole projection before it is split into heads, weight [heads · head size] (OLMoE).</summary>
    FullWidth,
}

/// <summary>Attention, the same in every layer. With <see cref="Mla"/> the query and key heads are <c>NopeSize + RopeSize</c> wide and the value heads <c>ValueSize</c>.</summary>
internal sealed record AttentionConfig
{
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a query or key head in elements.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Width of a value head in elements.</summary>
    public int ValueSize => Mla?.ValueSize ?? HeadSize;

    /// <summary>How queries and keys are normalised, before clipping and RoPE.</summary>
    public QueryKeyNorm QueryKeyNorm { get; init; }

    /// <summary>
    /// Whether the projections from the hidden state to query, key and value have a bias. With MLA: those down to the latents;
    /// the ones up from the latents never have one.
    /// </summary>
    public bool QkvBias { get; init; }

    /// <summary>Whether the output projection has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Queries, keys and values are clamped to ±this after the norm and before RoPE; null: not clamped.</summary>
    public float? ClipQkv { get; init; }

    /// <summary>What q·k is multiplied with before the softmax: head size^−½, times YaRN's mscale² where the family asks for it.</summary>
    public required float SoftmaxScale { get; init; }

    /// <summary>Multi-head latent attention's sizes, or null for ordinary grouped-query attention.</summary>
    public MlaConfig? Mla { get; init; }
}

/// <summary>Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1): keys and values are projections of one small latent a token.</summary>
internal sealed record MlaConfig
{
    /// <summary>Width of the query latent, or null where queries are projected from the hidden state directly.</summary>
    public int? QueryRank { get; init; }

    /// <summary>Width of the latent behind keys and values.</summary>
    public required int KvRank { get; init; }

    /// <summary>The part of a query or key head without position, which comes first in the head.</summary>
    public required int NopeSize { get; init; }

    /// <summary>The part of a query or key head that RoPE turns; the key's is shared by all heads.</summary>
    public required int RopeSize { get; init; }

    /// <summary>Width of a value head.</summary>
    public required int ValueSize { get; init; }

    /// <summary>
    /// What the norms of the two latents add to the mean square. DeepSeek's own code and transformers make these norms without the
    /// configuration's <c>rms_norm_eps</c>, so that their default holds; vLLM and llama.cpp give them the configuration's. Every release has
    /// this value in both places.
    /// </summary>
    public float LatentNormEpsilon { get; init; } = 1e-6f;
}

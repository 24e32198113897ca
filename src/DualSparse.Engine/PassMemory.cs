using DualSparse.Kernels.Memory;

namespace DualSparse.Engine;

/// <summary>A pass's scratch memory: one buffer for each use, with its shape. Products have theirs in the workspace, tickets in themselves.</summary>
internal sealed class PassMemory : IDisposable
{
    /// <summary>Residual streams: a wiring with a shortcut may keep one apart, without the last layer's routed outputs.</summary>
    public const int Streams = 2;

    /// <summary>[streams] of [rows, hidden].</summary>
    public ScratchBuffer[] Residual { get; } = [.. Enumerable.Range(0, Streams).Select(_ => new ScratchBuffer())];

    /// <summary>[rows, hidden]: a residual stream after a norm.</summary>
    public ScratchBuffer Normalised { get; } = new();

    /// <summary>[rows, heads · value size]: the output of attention.</summary>
    public ScratchBuffer Attended { get; } = new();

    /// <summary>[parts] of [rows, hidden]: the same after the output projection.</summary>
    public ScratchBuffer AttentionOutput { get; } = new();

    /// <summary>[parts] of [rows, query + key + value widths] of grouped-query attention.</summary>
    public ScratchBuffer QueryKeyValue { get; } = new();

    /// <summary>[parts] of [rows, 2]: sums of squares of queries and keys.</summary>
    public ScratchBuffer PartSquares { get; } = new();

    /// <summary>[rows, 2]: the same over all parts.</summary>
    public ScratchBuffer Squares { get; } = new();

    /// <summary>[parts] of [rows, hidden]: the output of an MLP that every row takes, where it is cut.</summary>
    public ScratchBuffer MlpOutput { get; } = new();

    /// <summary>[rows, heads · head size] of latent attention.</summary>
    public ScratchBuffer Queries { get; } = new();

    /// <summary>[rows, query rank]: the latents of latent attention's queries, in models that have them.</summary>
    public ScratchBuffer QueryLatents { get; } = new();

    /// <summary>[rows, kv rank + rope size]: the rows' own latents, with the key part that all heads share.</summary>
    public ScratchBuffer RowLatents { get; } = new();

    /// <summary>[positions, kv rank + rope size]: a sequence's latents, read from its cache.</summary>
    public ScratchBuffer CachedLatents { get; } = new();

    /// <summary>[pages] of keys and values expanded from latents, for some heads.</summary>
    public ScratchBuffer Expanded { get; } = new();

    /// <summary>[rows, heads · (kv rank + rope size)]: absorbed queries.</summary>
    public ScratchBuffer LatentQueries { get; } = new();

    /// <summary>[rows, heads · kv rank]: weighted latents.</summary>
    public ScratchBuffer WeightedLatents { get; } = new();

    /// <summary>[rows, experts].</summary>
    public ScratchBuffer RouterLogits { get; } = new();

    /// <summary>[rows] or [rows, 2]: the logits of what weighs shared experts, or these and the routed ones.</summary>
    public ScratchBuffer CombineGate { get; } = new();

    /// <summary>[rows]: what the shared experts' outputs are multiplied with.</summary>
    public ScratchBuffer SharedWeights { get; } = new();

    /// <summary>[rows]: what the routed experts' outputs are multiplied with, from a layer's shared experts until its end.</summary>
    public ScratchBuffer RoutedWeights { get; } = new();

    /// <summary>[rows, hidden]: the routed experts' output before it is weighed.</summary>
    public ScratchBuffer RoutedOutput { get; } = new();

    /// <summary>[rows of an expert, hidden]: for an observer of neurons.</summary>
    public ScratchBuffer ProbeRows { get; } = new();

    /// <summary>[rows of an expert, 2 · padded neurons]: gates and ups for an observer.</summary>
    public ScratchBuffer ProbeProducts { get; } = new();

    /// <summary>[rows of logits, hidden]: after the final norm.</summary>
    public ScratchBuffer HeadInput { get; } = new();

    /// <summary>[rows of logits, vocabulary].</summary>
    public ScratchBuffer Logits { get; } = new();

    /// <summary>[rows of logits, some ids]: a part of the vocabulary on its way between ranks.</summary>
    public ScratchBuffer LogitColumns { get; } = new();

    /// <summary>Frees all of it.</summary>
    public void Dispose()
    {
        foreach (var buffer in (ScratchBuffer[])
        [
            .. Residual, Normalised, Attended, AttentionOutput, QueryKeyValue, PartSquares, Squares, MlpOutput, Queries, QueryLatents, RowLatents, CachedLatents, Expanded,
            LatentQueries, WeightedLatents, RouterLogits, CombineGate, SharedWeights, RoutedWeights, RoutedOutput, ProbeRows, ProbeProducts, HeadInput, Logits, LogitColumns,
        ])
        {
            buffer.Dispose();
        }
    }
}

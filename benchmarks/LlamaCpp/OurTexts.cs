using DualSparse.Engine;

namespace DualSparse.LlamaCpp;

/// <summary>Texts in this engine.</summary>
/// <param name="model">The model.</param>
/// <param name="texts">The number of texts.</param>
/// <param name="capacity">The longest, in tokens.</param>
internal sealed class OurTexts(Transformer model, int texts, int capacity) : ITexts
{
    private readonly KvCache[] caches = [.. Enumerable.Range(0, texts).Select(_ => model.NewCache(capacity))];

    public void Clear() => Array.ForEach(caches, cache => cache.Truncate(0));

    public ReadOnlySpan<float> Append(ReadOnlyMemory<int>[] ids, LogitRows logits)
    {
        SequenceChunk[] batch = [.. ids.Select((own, text) => new SequenceChunk(caches[text], own, logits))];
        return model.Forward(batch);
    }

    public void Dispose() => Array.ForEach(caches, cache => cache.Dispose());
}

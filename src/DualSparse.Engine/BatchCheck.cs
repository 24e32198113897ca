using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Checks the batch of a pass before any work is done.</summary>
internal static class BatchCheck
{
    /// <summary>Checks a batch.</summary>
    /// <exception cref="ArgumentException">
    /// An id is outside the vocabulary, a chunk is empty or doesn't fit its cache, a cache or a text is given twice, a text is another
    /// model's, or more logits are requested than an array holds.
    /// </exception>
    public static void Require(ReadOnlySpan<SequenceChunk> batch, ModelConfig config)
    {
        int vocabulary = config.VocabSize;
        long rows = 0;
        foreach (var chunk in batch)
        {
            if (chunk.Ids.Length == 0)
                throw new ArgumentException("a chunk without tokens");
            int room = chunk.Cache.Capacity - chunk.Cache.Length;
            if (chunk.Ids.Length > room)
                throw new ArgumentException($"{chunk.Ids.Length} more tokens don't fit a context of {chunk.Cache.Capacity}, of which {chunk.Cache.Length} are used");
            foreach (int id in chunk.Ids.Span)
            {
                if ((uint)id >= (uint)vocabulary)
                    throw new ArgumentException($"token id {id} is outside the vocabulary of {vocabulary}");
            }

            if (chunk.Drop is { } text && text.Layers.Count != config.Layers)
                throw new ArgumentException($"the text's drop is planned for {text.Layers.Count} layers, expected the model's {config.Layers}");
            rows += chunk.LogitRowCount;
        }

        if (rows * vocabulary > int.MaxValue)
            throw new ArgumentException($"{rows} rows of {vocabulary} logits were requested, expected at most {int.MaxValue / vocabulary} at a time");
        RequireOnce(batch);
    }

    private static void RequireOnce(ReadOnlySpan<SequenceChunk> batch)
    {
        if (batch.Length < 2)
            return;
        Dictionary<object, int> seen = new(2 * batch.Length, ReferenceEqualityComparer.Instance);
        for (int i = 0; i < batch.Length; i++)
        {
            if (!seen.TryAdd(batch[i].Cache, i))
                throw new ArgumentException($"chunks {seen[batch[i].Cache]} and {i} of the batch have the same cache, expected each sequence once: its tokens go into one chunk");
            if (batch[i].Drop is { } text && !seen.TryAdd(text, i))
                throw new ArgumentException($"chunks {seen[text]} and {i} of the batch have the same text's drop, expected each text once: give sequences that run side by side a part each");
        }
    }
}

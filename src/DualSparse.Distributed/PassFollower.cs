using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Distributed;

/// <summary>A rank that runs the passes of rank 0 with its own part of the model, until there are no more.</summary>
internal sealed class PassFollower(RankGroup group, Transformer model) : IDisposable
{
    private readonly RankLetter letter = new();
    private readonly Dictionary<int, KvCache> caches = [];
    private readonly Dictionary<int, TextDrop> texts = [];

    /// <summary>Runs passes until rank 0 has no more.</summary>
    public void Run()
    {
        // However long the user of rank 0 thinks.
        while (PassMessage.Read(letter.Receive(group, from: 0, PassLeader.Tag)) is { Chunks.Count: > 0 } pass)
        {
            foreach (var change in pass.Changes)
                Apply(change);
            model.Forward([.. pass.Chunks.Select(Chunk)]);
            foreach (int number in pass.Ended)
                Forget(number);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var cache in caches.Values)
            cache.Dispose();
        letter.Dispose();
    }

    private SequenceChunk Chunk(ChunkMessage chunk)
    {
        if (!caches.TryGetValue(chunk.Cache, out var cache))
            caches.Add(chunk.Cache, cache = model.NewCache(chunk.Capacity));
        cache.Truncate(chunk.Length);
        var text = chunk.Text is { } number ? texts[number] : null;
        text?.Truncate(chunk.Followed);
        Range? appended = chunk.AppendedFrom is { } from ? from..chunk.AppendedTo!.Value : null;
        return new SequenceChunk(cache, chunk.Ids, chunk.Logits, chunk.Generated, text, appended);
    }

    private void Apply(TextChange change)
    {
        if (change.Joins is { } part)
            texts[change.Text].Join(texts[part]);
        else if (!texts.TryGetValue(change.Text, out var text))
            texts.Add(change.Text, change.Parent is { } parent ? texts[parent].Part() : model.NewText(change.Plan!));
        else
            text.Plan = model.Plan(change.Plan!);
    }

    // A cache's number, or −1 − a text's.
    private void Forget(int number)
    {
        if (number < 0)
            texts.Remove(-1 - number);
        else if (caches.Remove(number, out var cache))
            cache.Dispose();
    }
}

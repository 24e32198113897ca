using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;

namespace DualSparse.Distributed;

/// <summary>A rank that runs the passes of rank 0, with its own part of the model or on its own sequences, until there are no more.</summary>
/// <param name="group">The ranks.</param>
/// <param name="model">What this rank has of the model.</param>
/// <param name="exchange">Where each rank runs its own sequences, how their rows reach the experts; null: every rank runs all of them.</param>
internal sealed unsafe class PassFollower(RankGroup group, Transformer model, AllToAllExchange? exchange) : IDisposable
{
    private readonly RankLetter letter = new();
    private readonly Dictionary<int, KvCache> caches = [];
    private readonly Dictionary<int, TextDrop> texts = [];
    private readonly Dictionary<int, PictureRows> pictures = [];
    private readonly List<RankMessage> messages = [];

    /// <summary>Runs passes until rank 0 has no more.</summary>
    public void Run()
    {
        // However long the user of rank 0 thinks.
        while (PassMessage.Read(letter.Receive(group, from: 0, RankTag.Pass)) is { Chunks.Count: > 0 } pass)
        {
            foreach (var change in pass.Changes)
                Apply(change);
            foreach (var picture in pass.Pictures ?? [])
                pictures.Add(picture.Number, picture.Read());
            exchange?.BeginPass(PassMessage.RowsOf(pass.Chunks, group.Size));
            SequenceChunk[] chunks = [.. pass.Chunks.Where(chunk => chunk.Home is null || chunk.Home == group.Rank).Select(Chunk)];
            model.Balanced = pass.Balanced;
            var logits = model.Forward(chunks);
            if (exchange is not null)
                Report(chunks, logits);
            foreach (int number in pass.Ended)
                Forget(number);
            foreach (int number in pass.EndedPictures ?? [])
                pictures.Remove(number);
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
        return new SequenceChunk(cache, chunk.Ids, chunk.Logits, chunk.Generated, text, appended, chunk.MarkedFrom..chunk.MarkedTo,
            chunk.Pictures is { } placed ? TextPictures.At(placed.Select(one => (one.First, pictures[one.Number]))) : null);
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

    // What rank 0 gathers of this rank's own sequences.
    private void Report(SequenceChunk[] chunks, ReadOnlySpan<float> logits)
    {
        int length = TextReport.Length(model.Layers.Count);
        double[] reports = [.. chunks.Where(chunk => chunk.Drop is not null).SelectMany(_ => new double[length])];
        for (int i = 0, at = 0; i < chunks.Length; i++)
        {
            if (chunks[i].Drop is not { } text)
                continue;
            TextReport.Write(model.Counts(i), text.Expected, reports.AsSpan(at, length));
            at += length;
        }

        fixed (float* values = logits)
        fixed (double* numbers = reports)
        {
            if (logits.Length > 0)
                messages.Add(group.Send(0, RankTag.ChunkLogits, values, checked(logits.Length * sizeof(float))));
            if (reports.Length > 0)
                messages.Add(group.Send(0, RankTag.TextReport, numbers, reports.Length * sizeof(double)));
            group.WaitAll(messages, "the end of a pass");
        }
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

using System.Runtime.CompilerServices;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Distributed;

/// <summary>
/// Rank 0's side of passes that every rank runs: before each it tells the others what they need to run the same, so that their caches and texts go
/// the way of its own.
/// </summary>
internal sealed class PassLeader(RankGroup group) : IDisposable
{
    /// <summary>The tag of a pass's message.</summary>
    public const int Tag = 8;

    private readonly RankLetter letter = new();
    private readonly Known<KvCache> caches = new();
    private readonly Known<TextDrop> texts = new();
    private readonly Dictionary<int, DropPlan> plans = [];
    private readonly List<(TextDrop Text, TextDrop Part)> joined = [];
    private bool ready;

    /// <summary>Tells the others of a pass.</summary>
    /// <exception cref="Mpi.MpiException">One of them couldn't load its part.</exception>
    /// <exception cref="Mpi.PeerLostException">One of them is lost.</exception>
    public void Announce(ReadOnlySpan<SequenceChunk> batch)
    {
        if (!ready)
            Handshake.RequireLoaded(group);
        ready = true;
        List<TextChange> changes = [];
        foreach (var (text, part) in joined)
        {
            // A part that no pass has seen brings nothing.
            if (texts.Find(part) is { } number)
                changes.Add(new TextChange(Sync(text, changes), Joins: number));
        }

        joined.Clear();
        List<ChunkMessage> chunks = [];
        foreach (var chunk in batch)
        {
            chunks.Add(new ChunkMessage(
                caches.Number(chunk.Cache, out _), chunk.Cache.Capacity, chunk.Cache.Length, chunk.Ids.ToArray(), chunk.Logits, chunk.Generated,
                chunk.Appended?.Start.Value, chunk.Appended?.End.Value, chunk.Drop is { } text ? Sync(text, changes) : null, chunk.Drop?.Followed ?? 0));
        }

        int[] ended = [.. caches.Ended(cache => cache.IsDisposed), .. texts.Ended(_ => false).Select(text => -1 - text)];
        foreach (int number in ended.Where(number => number < 0))
            plans.Remove(-1 - number);
        letter.SendToAll(group, Tag, new PassMessage(changes, chunks, ended).ToBytes(), "the beginning of a pass");
    }

    /// <summary>A part has joined a text: the others learn of it before the next pass.</summary>
    public void Joined(TextDrop text, TextDrop part) => joined.Add((text, part));

    /// <summary>Tells the others that there are no more passes.</summary>
    public void Dispose()
    {
        letter.SendToAll(group, Tag, PassMessage.End.ToBytes(), "the end");
        letter.Dispose();
    }

    // The text's number; what the others don't know of it is added to the changes.
    private int Sync(TextDrop text, List<TextChange> changes)
    {
        int? parent = text.Parent is { } whole && texts.Find(text) is null ? Sync(whole, changes) : null;
        int number = texts.Number(text, out bool isNew);
        if (isNew || plans[number] != text.Plan)
            changes.Add(new TextChange(number, parent, text.Plan.Request));
        plans[number] = text.Plan;
        return number;
    }

    // Numbers for things, as long as they live.
    private sealed class Known<T>
        where T : class
    {
        private readonly ConditionalWeakTable<T, StrongBox<int>> numbers = [];
        private readonly Dictionary<int, WeakReference<T>> alive = [];
        private int next;

        public int? Find(T thing) => numbers.TryGetValue(thing, out var number) ? number.Value : null;

        public int Number(T thing, out bool isNew)
        {
            isNew = !numbers.TryGetValue(thing, out var number);
            if (number is null)
            {
                numbers.Add(thing, number = new StrongBox<int>(next++));
                alive.Add(number.Value, new WeakReference<T>(thing));
            }

            return number.Value;
        }

        public int[] Ended(Func<T, bool> isOver)
        {
            int[] ended = [.. alive.Where(pair => !pair.Value.TryGetTarget(out var thing) || isOver(thing)).Select(pair => pair.Key)];
            Array.ForEach(ended, number => alive.Remove(number));
            return ended;
        }
    }
}

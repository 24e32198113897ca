using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Ranks;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>
/// Rank 0's side of passes that every rank runs: before each it tells the others what they need to run the same, so that their caches and texts go
/// the way of its own.
/// </summary>
/// <param name="group">The ranks.</param>
/// <param name="exchange">Where each rank runs its own sequences, how their rows reach the experts; null: every rank runs all of them.</param>
internal sealed unsafe class PassLeader(RankGroup group, AllToAllExchange? exchange) : IPassLeader
{
    private readonly RankLetter letter = new();
    private readonly Known<KvCache> caches = new();
    private readonly Known<TextDrop> texts = new();
    private readonly Known<PictureRows> pictures = new();
    private readonly HashSet<int> shown = [];
    private readonly Dictionary<int, DropPlan> plans = [];
    private readonly List<(TextDrop Text, TextDrop Part)> joined = [];
    private readonly Dictionary<int, int> homeOfCache = [], homeOfText = [];
    private readonly ScratchBuffer logits = new(), received = new();
    private readonly List<RankMessage> messages = [];
    private int[] ended = [];
    private bool ready;
    private Exception? failed;

    /// <inheritdoc/>
    public int[]? Deal(ReadOnlySpan<SequenceChunk> batch)
    {
        Forget();
        if (exchange is null)
            return null;
        int[] homes = new int[batch.Length];
        for (int i = 0; i < homes.Length; i++)
            homes[i] = Home(batch[i]);
        return homes;
    }

    /// <inheritdoc/>
    /// <exception cref="Mpi.MpiException">One of them couldn't load its part.</exception>
    /// <exception cref="Mpi.PeerLostException">One of them is lost.</exception>
    public void Announce(ReadOnlySpan<SequenceChunk> batch, int[]? homes, bool balanced)
    {
        if (failed is not null)
            throw new InvalidOperationException($"the ranks can't go on: a pass failed on the first of them, and the others are in the middle of it ({failed.Message})", failed);
        if (!ready)
            Handshake.RequireLoaded(group);
        ready = true;
        List<TextChange> changes = [];
        foreach (var (text, part) in joined)
        {
            // A part that no pass has seen brings nothing.
            if (texts.Number(part) is var number && plans.ContainsKey(number))
                changes.Add(new TextChange(Sync(text, changes), Joins: number));
        }

        joined.Clear();
        List<ChunkMessage> chunks = [];
        List<PictureMessage> fresh = [];
        int[] endedPictures = pictures.Ended(_ => false);
        shown.ExceptWith(endedPictures);
        for (int i = 0; i < batch.Length; i++)
        {
            var chunk = batch[i];
            var (marked, count) = chunk.Marked.GetOffsetAndLength(chunk.Ids.Length);
            chunks.Add(new ChunkMessage(
                caches.Number(chunk.Cache), chunk.Cache.Capacity, chunk.Cache.Length, chunk.Ids.ToArray(), chunk.Logits, chunk.Generated,
                chunk.Appended?.Start.Value, chunk.Appended?.End.Value, chunk.Drop is { } text ? Sync(text, changes) : null, chunk.Drop?.Followed ?? 0, homes?[i], marked, marked + count, Placed(chunk.Pictures, fresh)));
        }

        exchange?.BeginPass(PassMessage.RowsOf(chunks, group.Size));
        letter.SendToAll(group, RankTag.Pass, new PassMessage(changes, chunks, ended, balanced, fresh, endedPictures).ToBytes(), "the beginning of a pass");
        ended = [];
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Gather(scoped ReadOnlySpan<SequenceChunk> batch, int[] homes, scoped ReadOnlySpan<float> own, int vocabulary)
    {
        const string what = "the end of a pass";
        int rows = 0, texts = 0, layers = 0;
        foreach (var chunk in batch)
            (rows, layers) = (rows + chunk.LogitRowCount, chunk.Drop?.Layers.Count ?? layers);
        int[] rowsOf = new int[group.Size], textsOf = new int[group.Size];
        for (int i = 0; i < homes.Length; i++)
        {
            rowsOf[homes[i]] += batch[i].LogitRowCount;
            if (homes[i] > 0 && batch[i].Drop is not null)
                (textsOf[homes[i]], texts) = (textsOf[homes[i]] + 1, texts + 1);
        }

        int report = TextReport.Length(layers);
        float* all = logits.Floats((nint)rows * vocabulary), theirs = received.Floats((nint)rows * vocabulary);
        double[] reports = GC.AllocateArray<double>(Math.Max(1, texts * report), pinned: true);
        nint[] from = new nint[group.Size];
        double* toReport = (double*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(reports, 0);
        int[] reportAt = new int[group.Size];
        for (int rank = 1, at = 0, text = 0; rank < group.Size; at += rowsOf[rank], text += textsOf[rank++])
        {
            (from[rank], reportAt[rank]) = ((nint)(theirs + (nint)at * vocabulary), text * report);
            if (rowsOf[rank] > 0)
                messages.Add(group.Receive(rank, RankTag.ChunkLogits, (void*)from[rank], checked(rowsOf[rank] * vocabulary * sizeof(float))));
            if (textsOf[rank] > 0)
                messages.Add(group.Receive(rank, RankTag.TextReport, toReport + reportAt[rank], textsOf[rank] * report * sizeof(double)));
        }

        group.WaitAll(messages, what);
        float* target = all;
        for (int i = 0; i < homes.Length; i++)
        {
            int home = homes[i], count = batch[i].LogitRowCount * vocabulary;
            var source = home == 0 ? own[..count] : new ReadOnlySpan<float>((void*)from[home], count);
            source.CopyTo(new Span<float>(target, count));
            target += count;
            if (home == 0)
            {
                own = own[count..];
                continue;
            }

            from[home] += count * sizeof(float);
            batch[i].Cache.Advance(batch[i].Ids.Length);
            if (batch[i].Drop is not { } text)
                continue;
            TextReport.Apply(text, batch[i].Ids.Length, reports.AsSpan(reportAt[home], report));
            reportAt[home] += report;
        }

        return new ReadOnlySpan<float>(all, rows * vocabulary);
    }

    /// <inheritdoc/>
    public void Fail(Exception failure) => failed ??= failure;

    /// <summary>A part has joined a text: the others learn of it before the next pass.</summary>
    public void Joined(TextDrop text, TextDrop part) => joined.Add((text, part));

    /// <summary>Tells the others that there are no more passes. Where one has failed they can't hear it, and its exception is thrown again.</summary>
    public void End()
    {
        if (failed is not null)
            ExceptionDispatchInfo.Throw(failed);
        letter.SendToAll(group, RankTag.Pass, PassMessage.End.ToBytes(), "the end");
        letter.Dispose();
        logits.Dispose();
        received.Dispose();
    }

    // What has ended since the last pass: the others learn of it with the next.
    private void Forget()
    {
        ended = [.. ended, .. caches.Ended(cache => cache.IsDisposed), .. texts.Ended(_ => false).Select(text => -1 - text)];
        foreach (int number in ended)
        {
            homeOfCache.Remove(number);
            plans.Remove(-1 - number);
            homeOfText.Remove(-1 - number);
        }
    }

    // A new sequence goes to the rank that has the fewest, the first of them: so a single one is here, and its logits needn't travel. But thresholds that
    // follow a text are where its first sequence is, and a text in parts is here.
    private int Home(SequenceChunk chunk)
    {
        int cache = caches.Number(chunk.Cache);
        if (homeOfCache.TryGetValue(cache, out int home))
            return home;
        int? text = chunk.Drop is { Plan.Followed: not null } followed ? TextHome(followed) : null;
        home = text ?? Enumerable.Range(0, group.Size).MinBy(rank => homeOfCache.Values.Count(other => other == rank));
        if (text is null && chunk.Drop is { } own)
            homeOfText.TryAdd(texts.Number(own), home);
        return homeOfCache[cache] = home;
    }

    private int? TextHome(TextDrop text) => text.Parent is not null ? 0 : homeOfText.TryGetValue(texts.Number(text), out int home) ? home : null;

    // The text's number; what the others don't know of it is added to the changes.
    private int Sync(TextDrop text, List<TextChange> changes)
    {
        int number = texts.Number(text);
        bool known = plans.TryGetValue(number, out var plan);
        int? parent = !known && text.Parent is { } whole ? Sync(whole, changes) : null;
        if (plan != text.Plan)
            changes.Add(new TextChange(number, parent, text.Plan.Request));
        plans[number] = text.Plan;
        return number;
    }

    // Pictures by their numbers; those that the others haven't seen go along.
    private PlacedMessage[]? Placed(TextPictures? all, List<PictureMessage> fresh)
    {
        if (all is null)
            return null;
        foreach (var (_, picture) in all.All)
        {
            if (shown.Add(pictures.Number(picture)))
                fresh.Add(PictureMessage.Of(pictures.Number(picture), picture));
        }

        return [.. all.All.Select(one => new PlacedMessage(one.First, pictures.Number(one.Picture)))];
    }

    // Numbers for things, as long as they live.
    private sealed class Known<T>
        where T : class
    {
        private readonly ConditionalWeakTable<T, StrongBox<int>> numbers = [];
        private readonly Dictionary<int, WeakReference<T>> alive = [];
        private int next;

        public int Number(T thing)
        {
            if (!numbers.TryGetValue(thing, out var number))
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

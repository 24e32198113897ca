using System.Buffers;

namespace DualSparse.Models.Text;

/// <summary>
/// Byte-pair encoding of one word (Sennrich, Haddow and Birch 2016): as long as a neighbouring pair merges, the pair of the lowest rank
/// does, the leftmost first among equals.
/// </summary>
internal static class MergeLoop
{
    // Below this length a scan over all ranks beats the bookkeeping of a queue.
    private const int ScanLimit = 48;

    /// <summary>Merges <paramref name="ids"/> in place.</summary>
    /// <returns>How many ids are left, from the start of <paramref name="ids"/>.</returns>
    public static int Run(MergeTable merges, Span<int> ids) =>
        ids.Length <= ScanLimit ? Scan(merges, ids) : Queue(merges, ids);

    private static int Scan(MergeTable merges, Span<int> ids)
    {
        int count = ids.Length;
        Span<int> ranks = stackalloc int[ScanLimit];
        for (int i = 0; i + 1 < count; i++)
        {
            ranks[i] = merges.Rank(ids[i], ids[i + 1]);
        }

        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i < count - 1; i++)
            {
                if (ranks[i] < ranks[best])
                {
                    best = i;
                }
            }

            if (ranks[best] == MergeTable.NoMerge)
            {
                break;
            }

            ids[best] = merges.Merged(ranks[best]);
            ids[(best + 2)..count].CopyTo(ids[(best + 1)..]);
            ranks[(best + 1)..count].CopyTo(ranks[best..]);
            count--;
            if (best > 0)
            {
                ranks[best - 1] = merges.Rank(ids[best - 1], ids[best]);
            }

            if (best < count - 1)
            {
                ranks[best] = merges.Rank(ids[best], ids[best + 1]);
            }
        }

        return count;
    }

    /// <summary>O(n log n): a queue of candidate pairs over a linked list of symbols; outdated candidates are passed over.</summary>
    private static int Queue(MergeTable merges, Span<int> ids)
    {
        int count = ids.Length;
        int[] links = ArrayPool<int>.Shared.Rent(2 * count);
        Span<int> next = links.AsSpan(0, count);
        Span<int> previous = links.AsSpan(count, count);
        var candidates = new PriorityQueue<int, ulong>(count);
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
            if (i + 1 < count)
            {
                Offer(merges, candidates, i, ids[i], ids[i + 1]);
            }
        }

        while (candidates.TryDequeue(out int at, out ulong key))
        {
            int rank = (int)(key >> 32);
            int after = next[at];
            if (ids[at] < 0 || after >= count || merges.Rank(ids[at], ids[after]) != rank)
            {
                continue;
            }

            ids[at] = merges.Merged(rank);
            ids[after] = -1;
            next[at] = next[after];
            if (next[at] < count)
            {
                previous[next[at]] = at;
                Offer(merges, candidates, at, ids[at], ids[next[at]]);
            }

            if (previous[at] >= 0)
            {
                Offer(merges, candidates, previous[at], ids[previous[at]], ids[at]);
            }
        }

        int kept = 0;
        for (int i = 0; i < count; i = next[i])
        {
            ids[kept++] = ids[i];
        }

        ArrayPool<int>.Shared.Return(links);
        return kept;
    }

    private static void Offer(MergeTable merges, PriorityQueue<int, ulong> candidates, int at, int left, int right)
    {
        int rank = merges.Rank(left, right);
        if (rank != MergeTable.NoMerge)
        {
            candidates.Enqueue(at, ((ulong)(uint)rank << 32) | (uint)at);
        }
    }
}

namespace DualSparse.Kernels.Ops;

/// <summary>Rows of one key-value head of one segment, against the keys from…to−1.</summary>
/// <param name="Segment">The segment's index.</param>
/// <param name="Head">The key-value head.</param>
/// <param name="FirstRow">The first (position · group + head in group).</param>
/// <param name="Rows">Rows.</param>
/// <param name="From">The first key, at the start of a span.</param>
/// <param name="To">The key after the last.</param>
/// <param name="Partial">Where the sums go, to be merged later; −1: this item writes the output.</param>
internal readonly record struct AttentionItem(int Segment, int Head, int FirstRow, int Rows, int From, int To, int Partial);

/// <summary>The work of one attention call, cut into items for threads.</summary>
internal sealed class AttentionPlan
{
    /// <summary>Independent items, in the order in which threads are to take them.</summary>
    public required AttentionItem[] Items { get; init; }

    /// <summary>What is to be merged afterwards: partial sums from <see cref="AttentionItem.Partial"/> on, one for each span.</summary>
    public required AttentionItem[] Merges { get; init; }

    /// <summary>Partial sums.</summary>
    public required int PartialCount { get; init; }

    /// <summary>Rows of the largest item.</summary>
    public required int RowBlock { get; init; }

    /// <summary>Cuts a call into items: by head and rows; by spans of keys too where that alone gives fewer than <paramref name="enough"/>.</summary>
    public static AttentionPlan Make(in AttentionShape shape, AttentionSegment[] segments, int rowBlock, int spanKeys, int enough)
    {
        var whole = new List<AttentionItem>();
        // Long sequences first, and of each head the long rows first: the last items, which some threads wait for, are short ones.
        // A head's items follow one another, so that its keys and values stay in the shared cache.
        foreach (int s in Enumerable.Range(0, segments.Length).OrderByDescending(s => segments[s].First + segments[s].Count))
        {
            int rows = segments[s].Count * shape.Group, blocks = (rows + rowBlock - 1) / rowBlock;
            for (int i = 0; i < blocks * shape.Cache.Heads; i++)
            {
                int first = (blocks - 1 - i % blocks) * rowBlock, count = Math.Min(rowBlock, rows - first);
                int lowest = segments[s].First + first / shape.Group, highest = segments[s].First + (shape.Causal ? (first + count - 1) / shape.Group : segments[s].Count - 1);
                int from = shape.Window is int window ? Math.Max(0, lowest - window + 1) / spanKeys * spanKeys : 0;
                whole.Add(new(s, i / blocks, first, count, from, highest + 1, -1));
            }
        }

        int largest = whole.Count == 0 ? 1 : whole.Max(i => i.Rows);
        if (whole.Count >= enough)
            return new() { Items = [.. whole], Merges = [], PartialCount = 0, RowBlock = largest };

        var items = new List<AttentionItem>();
        var merges = new List<AttentionItem>();
        int partials = 0;
        foreach (var item in whole)
        {
            if (item.To - item.From <= spanKeys)
            {
                items.Add(item);
                continue;
            }

            merges.Add(item with { Partial = partials });
            for (int from = item.From; from < item.To; from += spanKeys)
                items.Add(item with { From = from, To = Math.Min(item.To, from + spanKeys), Partial = partials++ });
        }

        return new() { Items = [.. items], Merges = [.. merges], PartialCount = partials, RowBlock = largest };
    }
}

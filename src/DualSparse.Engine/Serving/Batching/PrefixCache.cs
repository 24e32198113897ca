using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>What decides the keys and values of a text besides its tokens: texts share only what is equal in it.</summary>
/// <param name="Salt">The caller's own; texts of different salts share nothing.</param>
/// <param name="Drop">What is dropped.</param>
internal readonly record struct PrefixKey(string Salt, DropRequest Drop);

/// <summary>The longest beginning of a text that is there.</summary>
/// <param name="Full">Full pages.</param>
/// <param name="Tail">The page after them; null: none.</param>
/// <param name="TailTokens">The tokens of it that are the text's.</param>
/// <param name="Observed">By page, what adapted thresholds have observed; entries are null where they don't adapt.</param>
internal readonly record struct PrefixMatch(IReadOnlyList<KvPage> Full, KvPage? Tail, int TailTokens, IReadOnlyList<ObservedQuantiles?[]?> Observed)
{
    /// <summary>The tokens that needn't be computed.</summary>
    public int Tokens => Full.Count * KvLayout.PageKeys + TailTokens;
}

/// <summary>
/// Keys and values of texts that have been computed, for texts with the same beginning: a tree whose nodes are pages, found by comparing the tokens
/// themselves. A node's page may belong to a running sequence too, which writes only behind what the node knows of it. One thread at a time.
/// </summary>
/// <param name="pool">Whose pages they are.</param>
internal sealed class PrefixCache(PagePool pool) : IDisposable
{
    // Fewer tokens of a page are computed in less time than a page is copied in.
    private const int LeastTail = 4;

    private readonly Dictionary<PrefixKey, Node> roots = [];
    private readonly LinkedList<Node> byUse = []; // the first was used longest ago

    /// <summary>Pages of the tree that no sequence holds: they can be had for the asking.</summary>
    public int Evictable => byUse.Count(node => node.Page!.Holders == 1);

    /// <summary>Pages of the tree.</summary>
    public int Pages => byUse.Count;

    /// <summary>The longest beginning of a text that is there, of at most so many tokens.</summary>
    public PrefixMatch Find(PrefixKey key, ReadOnlySpan<int> ids)
    {
        List<KvPage> full = [];
        List<ObservedQuantiles?[]?> observed = [];
        roots.TryGetValue(key, out var node);
        while (node is not null && !ids.IsEmpty)
        {
            var (next, common) = node.Longest(ids);
            if (next is null || common < LeastTail)
                break;
            Use(next);
            observed.Add(next.Observed);
            if (common < KvLayout.PageKeys)
                return new PrefixMatch(full, next.Page, common, observed);
            full.Add(next.Page!);
            ids = ids[common..];
            node = next;
        }

        return new PrefixMatch(full, null, 0, observed);
    }

    /// <summary>Makes the beginning of a sequence known.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="ids">The tokens, all of them in its cache.</param>
    /// <param name="cache">The cache; its pages are held from now on.</param>
    /// <param name="text">What its adapted thresholds have observed.</param>
    public void Publish(PrefixKey key, ReadOnlySpan<int> ids, KvCache cache, TextDrop text)
    {
        ref var root = ref CollectionsMarshal.GetValueRefOrAddDefault(roots, key, out _);
        var node = root ??= new Node();
        for (int page = 0, first = 0; first < ids.Length; page++, first += KvLayout.PageKeys)
        {
            var own = ids.Slice(first, Math.Min(KvLayout.PageKeys, ids.Length - first));
            var (known, common) = node.Longest(own);
            if (common < own.Length)
            {
                // The page may be known as far as it was filled before; it stands in the tree once.
                known = node.Children.Find(child => child.Page == cache.Held[page]) ?? Add(node, cache.Held[page]);
                known.Ids = own.ToArray();
                known.Observed = text.Observed(first, own.Length);
            }

            Use(known!);
            node = known!;
            if (own.Length < KvLayout.PageKeys)
                break;
        }
    }

    /// <summary>Forgets pages that no sequence holds, those used longest ago first, until the pool has so many to give or there are no more.</summary>
    /// <returns>Whether it has.</returns>
    public bool MakeRoom(int pages)
    {
        while (pool.Capacity - pool.Used < pages)
        {
            var node = byUse.First;
            while (node is not null && (node.Value.Children.Count > 0 || node.Value.Page!.Holders > 1))
                node = node.Next;
            if (node is null)
                return false;
            Forget(node.Value);
        }

        return true;
    }

    /// <summary>Lets go of all pages.</summary>
    public void Dispose()
    {
        foreach (var node in byUse)
            node.Page!.Release();
        byUse.Clear();
        roots.Clear();
    }

    private Node Add(Node parent, KvPage page)
    {
        var node = new Node { Parent = parent, Page = page.Hold() };
        parent.Children.Add(node);
        node.Place = byUse.AddLast(node);
        return node;
    }

    private void Use(Node node)
    {
        byUse.Remove(node.Place!);
        byUse.AddLast(node.Place!);
    }

    private void Forget(Node node)
    {
        byUse.Remove(node.Place!);
        node.Parent!.Children.Remove(node);
        node.Page!.Release();
        if (node.Parent is { Parent: null, Children.Count: 0 } root)
            roots.Remove(roots.First(pair => pair.Value == root).Key);
    }

    // 128 tokens of some text, or fewer at its end.
    private sealed class Node
    {
        public Node? Parent { get; init; }
        public KvPage? Page { get; init; }
        public int[] Ids { get; set; } = [];
        public ObservedQuantiles?[]? Observed { get; set; }
        public List<Node> Children { get; } = [];
        public LinkedListNode<Node>? Place { get; set; }

        // The child with the most tokens in common.
        public (Node? Child, int Common) Longest(ReadOnlySpan<int> ids)
        {
            (Node? child, int most) = (null, 0);
            foreach (var candidate in Children)
            {
                int common = ids.CommonPrefixLength(candidate.Ids);
                if (common > most)
                    (child, most) = (candidate, common);
            }

            return (child, most);
        }
    }
}

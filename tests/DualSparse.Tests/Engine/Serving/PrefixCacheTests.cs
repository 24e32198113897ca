using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Tests.Engine.Serving;

public class PrefixCacheTests(LoadedModel loaded) : IClassFixture<LoadedModel>
{
    private static readonly PrefixKey Key = new("", DropRequest.None);
    private readonly Transformer model = loaded.Model.Transformer;

    [Fact]
    public void A_page_stands_in_the_tree_once_however_it_is_filled()
    {
        using var pool = model.NewPool(4);
        using var prefixes = new PrefixCache(pool);
        int[] ids = [.. Enumerable.Range(5, 60)];
        KvCache first = Computed(pool, ids), second = Computed(pool, ids);
        // Both begin alike; the second is known for its prompt, then the first for more than that, then the second for all.
        prefixes.Publish(Key, ids.AsSpan(0, 20), second, model.NewText());
        prefixes.Publish(Key, ids.AsSpan(0, 40), first, model.NewText());
        prefixes.Publish(Key, ids, second, model.NewText());
        first.Dispose();
        second.Dispose();
        Assert.Equal((2, 2), (pool.Used, prefixes.Evictable));
        Assert.Equal(60, prefixes.Find(Key, [.. ids, 1]).Tokens);
        Assert.True(prefixes.MakeRoom(4));
        Assert.Equal((0, 0), (pool.Used, prefixes.Pages));
        Assert.Equal(0, prefixes.Find(Key, ids).Tokens);
    }

    [Fact]
    public void What_was_used_longest_ago_goes_first_and_what_runs_stays()
    {
        using var pool = model.NewPool(4);
        using var prefixes = new PrefixCache(pool);
        int[] a = [.. Enumerable.Range(5, 130)], b = [.. Enumerable.Range(500, 50)], c = [.. Enumerable.Range(900, 50)];
        foreach (int[] ids in (int[][])[a, b])
        {
            using var cache = Computed(pool, ids);
            prefixes.Publish(Key, ids, cache, model.NewText());
        }

        using var runs = Computed(pool, c);
        prefixes.Publish(Key, c, runs, model.NewText());
        Assert.Equal((128, 50), (prefixes.Find(Key, a.AsSpan(0, 130)).Full.Count * 128, prefixes.Find(Key, b).Tokens));
        // Four pages: two of a, one of b, one of c. The last of a goes before its first, and before b, which was asked for later.
        Assert.True(prefixes.MakeRoom(1));
        Assert.Equal((128, 50), (prefixes.Find(Key, a).Tokens, prefixes.Find(Key, b).Tokens));
        Assert.False(prefixes.MakeRoom(4));
        Assert.Equal((0, 0, 50), (prefixes.Find(Key, a).Tokens, prefixes.Find(Key, b).Tokens, prefixes.Find(Key, c).Tokens));
        Assert.Equal(0, prefixes.Find(Key with { Salt = "another" }, c).Tokens);
    }

    private KvCache Computed(PagePool pool, int[] ids)
    {
        var cache = model.NewCache(200, pool);
        model.Forward(cache, ids, LogitRows.None);
        return cache;
    }
}

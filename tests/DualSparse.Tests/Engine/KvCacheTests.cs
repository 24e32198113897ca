using DualSparse.Engine;
using DualSparse.Models;

namespace DualSparse.Tests.Engine;

public class KvCacheTests
{
    [Fact]
    public void What_is_taken_back_and_written_again_leaves_no_trace()
    {
        using var model = Transformer.Load(TestPaths.Golden("qwen3_moe"), new EngineOptions { Threads = 2 });
        // More than a page of 128, so that one is kept and used again.
        int[] ids = [.. Enumerable.Range(0, 150).Select(i => i * 7 % model.Config.VocabSize)];
        int[] others = [.. ids.Select(i => (i + 3) % model.Config.VocabSize)];
        using KvCache once = model.NewCache(150), again = model.NewCache(150);
        float[] expected = model.Forward(once, ids).ToArray();
        model.Forward(again, others);
        again.Truncate(0);
        model.Forward(again, ids.AsSpan(0, 140));
        model.Forward(again, others.AsSpan(0, 10));
        again.Truncate(140);
        Assert.Equal(140, again.Length);
        Assert.Equal(expected, model.Forward(again, ids.AsSpan(140)).ToArray());
        Assert.Equal(150, again.Length);
    }

    [Fact]
    public void Lengths_out_of_range_are_refused()
    {
        var config = ModelConfig.Load(TestPaths.Golden("mixtral"));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvCache(config, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvCache(config, config.MaxPositions + 1));
        using var cache = new KvCache(config, config.MaxPositions);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Truncate(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Truncate(-1));
        cache.Dispose();
        cache.Dispose();
    }
}

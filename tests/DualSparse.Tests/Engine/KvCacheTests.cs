using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Tests.Engine;

public class KvCacheTests(GoldenModels models)
{
    [Fact]
    public void What_is_taken_back_and_written_again_leaves_no_trace()
    {
        using var loan = models.Borrow("qwen3_moe");
        var model = loan.Model;
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
    public void Sequences_of_a_batch_need_memory_together()
    {
        using var loan = models.Borrow("mixtral");
        var model = loan.Model;
        using KvCache a = model.NewCache(64), b = model.NewCache(64);
        int[] ids = [1, 2, 3];
        long page = 0;
        a.FreeBytes = () => page;
        Assert.Throws<InsufficientMemoryException>(() => model.Forward(a, ids).Length);
        page = (long)Kv(model.Config) * model.Config.Layers;
        Assert.Throws<InsufficientMemoryException>(() => model.Forward([new SequenceChunk(a, ids), new SequenceChunk(b, ids)]).Length);
        Assert.Equal((0, 0), (a.Length, b.Length));
        Assert.Equal(model.Config.VocabSize, model.Forward(a, ids).Length);

        static nuint Kv(ModelConfig config) => Attention.Layout(config.Attention, WeightFormat.Bf16).PageBytes;
    }

    // DeepSeek-V2-Lite: 16 heads of 128 + 64 and 128 would be 20,480 bytes a token and layer.
    [Fact]
    public void Latent_attention_keeps_the_latent_and_the_shared_part_of_the_key()
    {
        var attention = ModelConfig.Load(TestPaths.Golden("deepseek_v2")).Attention with
        {
            Heads = 16,
            Mla = new MlaConfig { KvRank = 512, NopeSize = 128, RopeSize = 64, ValueSize = 128 },
        };
        // Its value, the latent, is kept beside the key that begins with it.
        Assert.Equal((nuint)(512 + 64 + 512) * sizeof(ushort), Attention.Layout(attention, WeightFormat.Bf16).PageBytes / KvLayout.PageKeys);
    }

    [Fact]
    public void Lengths_out_of_range_are_refused()
    {
        var config = ModelConfig.Load(TestPaths.Golden("mixtral"));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvCache(config, WeightFormat.F32, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvCache(config, WeightFormat.F32, config.MaxPositions + 1));
        using var cache = new KvCache(config, WeightFormat.F32, config.MaxPositions);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Truncate(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Truncate(-1));
        cache.Dispose();
        cache.Dispose();
    }

    [Fact]
    public void The_longest_context_there_can_be_costs_nothing_until_it_is_used()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        string config = File.ReadAllText(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), System.Text.RegularExpressions.Regex.Replace(config, "\"max_position_embeddings\": \\d+", $"\"max_position_embeddings\": {int.MaxValue}"));
        using var model = Transformer.Load(folder.Path);
        Assert.Equal(int.MaxValue, model.Config.MaxPositions);
        using var cache = model.NewCache(int.MaxValue);
        Assert.Equal(model.Config.VocabSize, model.Forward(cache, [1, 2]).Length);
    }

    [Fact]
    public void More_logits_than_an_array_holds_are_refused_before_the_work()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        using var model = Transformer.Load(folder.Path);
        int many = int.MaxValue / model.Config.VocabSize + 1;
        using var cache = model.NewCache(model.Config.MaxPositions);
        int passes = many / model.Config.MaxPositions + 1;
        Assert.Throws<ArgumentException>(() => model.Forward([.. Enumerable.Repeat(new SequenceChunk(cache, new int[model.Config.MaxPositions], LogitRows.All), passes)]).Length);
        Assert.Equal(0, cache.Length);
    }
}

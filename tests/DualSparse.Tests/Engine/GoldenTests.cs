using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;

namespace DualSparse.Tests.Engine;

/// <summary>Every family against transformers' logits and greedy tokens.</summary>
public class GoldenTests
{
    public static TheoryData<string> Families => ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2"];

    [Theory]
    [MemberData(nameof(Families))]
    public void F32_agrees_with_transformers(string family)
    {
        var report = Compare(TestPaths.Golden(family), new EngineOptions { Weights = WeightFormat.F32 });
        Assert.InRange(report.RelativeError, 0, 1e-4);
        Assert.Equal(0, report.GreedyMismatches);
        Assert.True(report.GreedyTokens > 0);
    }

    [Fact]
    public void The_model_that_ships_agrees_with_transformers()
    {
        var report = Compare(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32 });
        Assert.InRange(report.RelativeError, 0, 1e-4);
        Assert.Equal(0, report.GreedyMismatches);
    }

    // The scalar kernels round both operands: no kernel may lose much more than that.
    [Theory]
    [MemberData(nameof(Families))]
    public void Narrow_weights_lose_no_more_than_the_scalar_kernels(string family)
    {
        foreach (var weights in new[] { WeightFormat.Bf16, WeightFormat.Int8, WeightFormat.Int4 })
        {
            double ours = Compare(TestPaths.Golden(family), new EngineOptions { Weights = weights }).RelativeError;
            double scalar = Compare(TestPaths.Golden(family), new EngineOptions { Weights = weights, Kernels = KernelSet.Named("scalar") }).RelativeError;
            Assert.InRange(ours, 0, 1.5 * scalar);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_are_the_same_on_any_number_of_threads_in_chunks_and_in_company(string family)
    {
        int[] ids = [.. Enumerable.Range(3, 37)];
        using var one = Transformer.Load(TestPaths.Golden(family), new EngineOptions { Threads = 1 });
        using var three = Transformer.Load(TestPaths.Golden(family), new EngineOptions { Threads = 3 });
        float[] whole = Run(one, ids, 37), threaded = Run(three, ids, 37), chunked = Run(one, ids, 5);
        using KvCache a = one.NewCache(64), b = one.NewCache(64);
        int rows = ids.Length;
        float[] both = one.Forward([new SequenceChunk(a, new int[] { 7, 8, 9 }), new SequenceChunk(b, ids, LogitRows.All)]).ToArray();
        Assert.Equal(whole, threaded);
        Assert.Equal(whole, chunked);
        Assert.Equal(whole, both.Skip(both.Length / (rows + 1)));
    }

    private static float[] Run(Transformer model, int[] ids, int chunk)
    {
        using var cache = model.NewCache(64);
        List<float> logits = [];
        for (int i = 0; i < ids.Length; i += chunk)
            logits.AddRange(model.Forward(cache, ids.AsSpan(i, Math.Min(chunk, ids.Length - i)), LogitRows.All));
        return [.. logits];
    }

    private static VerificationReport Compare(string folder, EngineOptions options)
    {
        using var model = Transformer.Load(folder, options);
        return Verification.Compare(model, Path.Combine(folder, "golden.safetensors"));
    }
}

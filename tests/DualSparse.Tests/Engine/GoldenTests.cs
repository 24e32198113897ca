using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine;

/// <summary>Every family against another implementation's logits and greedy tokens.</summary>
public class GoldenTests(GoldenModels models)
{
    public static TheoryData<string> Families => ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2", "scmoe/top2", "scmoe/shared_expert", "scmoe/dgmoe", "scmoe/pos1", "scmoe/pos2", "scmoe/pos2_cg1", "scmoe/pos2_cg2", "scmoe/pos3", "scmoe/scmoe2", "vl/qwen3_vl_moe", "vl/qwen3_vl_moe_released"];

    [Theory]
    [MemberData(nameof(Families))]
    public void F32_agrees_with_another_implementation(string family)
    {
        var report = Compare(family, WeightFormat.F32);
        Assert.InRange(report.RelativeError, 0, 1e-4);
        Assert.Equal(0, report.GreedyMismatches);
        // The files about training or pictures have no continuations.
        Assert.Equal(family.Contains('/'), report.GreedyTokens == 0);
    }

    [Fact]
    public void The_model_that_ships_agrees_with_transformers()
    {
        using var model = Transformer.Load(TestPaths.Model, new EngineOptions { Weights = WeightFormat.F32 });
        var report = Verification.Compare(model, Path.Combine(TestPaths.Model, "golden.safetensors"));
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
            double ours = Compare(family, weights).RelativeError;
            double scalar = Compare(family, weights, "scalar").RelativeError;
            Assert.InRange(ours, 0, 1.5 * scalar);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_are_the_same_on_any_number_of_threads_in_chunks_and_in_a_batch(string family)
    {
        int[] ids = [.. Enumerable.Range(3, 37)];
        using GoldenModels.Loan single = models.Borrow(family, threads: 1), several = models.Borrow(family, threads: 3);
        Transformer one = single.Model, three = several.Model;
        float[] whole = Run(one, ids, 37), threaded = Run(three, ids, 37), chunked = Run(one, ids, 5);
        using KvCache a = one.NewCache(64), b = one.NewCache(64);
        int rows = ids.Length;
        float[] both = one.Forward([new SequenceChunk(a, new int[] { 7, 8, 9 }), new SequenceChunk(b, ids, LogitRows.All)]).ToArray();
        Assert.Equal(whole, threaded);
        Assert.Equal(whole, chunked);
        Assert.Equal(whole, both.Skip(both.Length / (rows + 1)));
    }

    // Latent attention takes generated tokens another way than a prompt's.
    [Fact]
    public void Generated_tokens_agree_with_transformers_and_are_the_same_on_any_number_of_threads_in_chunks_and_in_a_batch()
    {
        var (ids, expected) = Latent();
        using GoldenModels.Loan ofOne = models.Borrow("deepseek_v2", WeightFormat.F32, threads: 1), ofThree = models.Borrow("deepseek_v2", WeightFormat.F32, threads: 3);
        Transformer one = ofOne.Model, three = ofThree.Model;
        float[] single = Run(one, ids, 1, generated: true);
        Assert.InRange(RelativeError(expected, single), 0, 1e-4);
        Assert.Equal(single, Run(three, ids, 7, generated: true));
        float[] prompt = Run(one, ids, 40);
        using KvCache a = three.NewCache(64), b = three.NewCache(64), c = three.NewCache(64);
        three.Forward([new SequenceChunk(a, ids.AsMemory(0, 30), LogitRows.None, Generated: true), new SequenceChunk(c, ids.AsMemory(0, 20), LogitRows.None, Generated: true)]);
        float[] mixed = three.Forward([
            new SequenceChunk(a, ids.AsMemory(30), LogitRows.All, Generated: true),
            new SequenceChunk(c, ids.AsMemory(20), LogitRows.None, Generated: true),
            new SequenceChunk(b, ids, LogitRows.All)]).ToArray();
        int vocabulary = one.Config.VocabSize;
        Assert.Equal(single[(30 * vocabulary)..], mixed[..(10 * vocabulary)]);
        Assert.Equal(prompt, mixed[(10 * vocabulary)..]);
        // Were the two ways one, this test would say nothing.
        Assert.NotEqual(prompt, single);
    }

    // Expanding thirty positions for ten queries is dearer than bringing these to the latents; expanding ten for thirty isn't.
    [Theory]
    [InlineData(30, true)]
    [InlineData(10, false)]
    public void Appended_tokens_are_expanded_or_absorbed_whichever_is_cheaper_however_they_are_cut(int before, bool absorbed)
    {
        var (ids, expected) = Latent();
        using var loan = models.Borrow("deepseek_v2", WeightFormat.F32);
        var model = loan.Model;
        float[] turn = Turn(ids.Length), expanded = Run(model, ids, ids.Length)[(before * model.Config.VocabSize)..];
        Assert.InRange(RelativeError(expected[(before * model.Config.VocabSize)..], turn), 0, 1e-4);
        Assert.Equal(turn, Turn(1));
        Assert.Equal(turn, Turn(7));
        Assert.Equal(absorbed, !turn.SequenceEqual(expanded));

        float[] Turn(int chunk)
        {
            using var cache = model.NewCache(64);
            model.Forward(cache, ids.AsSpan(0, before), LogitRows.None);
            List<float> logits = [];
            for (int i = before; i < ids.Length; i += chunk)
                logits.AddRange(model.Forward([new SequenceChunk(cache, ids.AsMemory(i, Math.Min(chunk, ids.Length - i)), LogitRows.All, Appended: before..ids.Length)]));
            return [.. logits];
        }
    }

    // The transpose of W_UK is rounded along the other axis: another rounding, not a larger one.
    [Theory]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Generated_tokens_lose_no_more_to_narrow_weights_than_a_prompt(WeightFormat weights)
    {
        var (ids, expected) = Latent();
        using var loan = models.Borrow("deepseek_v2", weights);
        var model = loan.Model;
        Assert.InRange(RelativeError(expected, Run(model, ids, 1, generated: true)), 0, 1.5 * RelativeError(expected, Run(model, ids, ids.Length)));
    }

    // The first row of ids and its logits.
    private static (int[] Ids, float[] Logits) Latent()
    {
        using var file = SafetensorsFile.Open(Path.Combine(TestPaths.Golden("deepseek_v2"), "golden.safetensors"));
        int length = (int)file.Get("input_ids").RowLength, rows = (int)file.Get("input_ids").Rows;
        float[] logits = file.Get("logits").ReadFloats();
        return ([.. file.Get("input_ids").ReadInt64s().Take(length).Select(id => (int)id)], logits[..(logits.Length / rows)]);
    }

    private static double RelativeError(float[] expected, float[] logits)
    {
        double mean = expected.Average(x => (double)x), variance = expected.Average(x => (x - mean) * (x - mean));
        return Math.Sqrt(expected.Zip(logits, (a, b) => (double)(a - b) * (a - b)).Average() / variance);
    }

    private static float[] Run(Transformer model, int[] ids, int chunk, bool generated = false)
    {
        using var cache = model.NewCache(64);
        List<float> logits = [];
        for (int i = 0; i < ids.Length; i += chunk)
            logits.AddRange(model.Forward([new SequenceChunk(cache, ids.AsMemory(i, Math.Min(chunk, ids.Length - i)), LogitRows.All, generated)]));
        return [.. logits];
    }

    private VerificationReport Compare(string family, WeightFormat weights, string? kernels = null)
    {
        using var loan = models.Borrow(family, weights, kernels: kernels);
        return Verification.Compare(loan.Model, Path.Combine(TestPaths.Golden(family), "golden.safetensors"));
    }
}

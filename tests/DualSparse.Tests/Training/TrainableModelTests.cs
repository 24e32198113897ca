using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary>Passes of whole models: the engine's logits, the same bits on any number of threads, the right sums.</summary>
public class TrainableModelTests
{
    private static readonly LossCoefficients s_coefficients = new(Balance: 0.02f, RouterZ: 0.003f);

    public static TheoryData<string> Families => ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "scmoe/top2", "scmoe/shared_expert", "scmoe/dgmoe", "scmoe/pos1", "scmoe/pos2", "scmoe/pos2_cg1", "scmoe/pos2_cg2", "scmoe/pos3", "scmoe/scmoe2"];

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_are_the_engines(string family)
    {
        string folder = TestPaths.Golden(family.Split('/'));
        using var loaded = new Loaded(folder, threads: 2, ProductFormat.F32);
        using var engine = Transformer.Load(folder, new EngineOptions { Weights = WeightFormat.F32, Threads = 1 });
        int length = 37, vocabulary = loaded.Model.Config.VocabSize;
        var batch = Batch(loaded.Model.Config, windows: 2, length);
        var logits = new float[batch.Tokens * vocabulary];
        loaded.Model.Forward(batch, logits);
        for (int window = 0; window < 2; window++)
        {
            using var cache = engine.NewCache(64);
            float[] expected = engine.Forward(cache, batch.Inputs.AsSpan(window * length, length), LogitRows.All).ToArray();
            double difference = 0, size = 0;
            for (int i = 0; i < expected.Length; i++)
            {
                difference += Math.Pow(expected[i] - logits[window * expected.Length + i], 2);
                size += Math.Pow(expected[i], 2);
            }

            Assert.InRange(Math.Sqrt(difference / size), 0, 1e-5);
        }
    }

    [Theory]
    [InlineData("olmoe", nameof(ProductFormat.F32))]
    [InlineData("qwen2_moe", nameof(ProductFormat.Bf16))]
    [InlineData("scmoe/shared_expert", nameof(ProductFormat.Fastest))]
    public void Threads_change_no_bit(string family, string products)
    {
        string folder = TestPaths.Golden(family.Split('/'));
        float[]? first = null;
        Losses losses = default;
        foreach (int threads in new[] { 1, 2, 3 })
        {
            using var loaded = new Loaded(folder, threads, Enum.Parse<ProductFormat>(products));
            var found = loaded.Model.Backward(Batch(loaded.Model.Config, windows: 5, length: 61), s_coefficients);
            float[] gradients = loaded.Gradients();
            if (first is null)
                (first, losses) = (gradients, found);
            Assert.Equal(losses, found);
            Assert.Equal(first, gradients);
        }

        Assert.Contains(first!, g => g != 0);
    }

    // A batch that is cut in two, each half's gradient at its share: the balance loss sees other means, so it is left out.
    [Fact]
    public void Accumulated_batches_are_the_whole()
    {
        string folder = TestPaths.Golden("mixtral");
        using var loaded = new Loaded(folder, threads: 2, ProductFormat.F32);
        var batch = Batch(loaded.Model.Config, windows: 4, length: 32);
        loaded.Model.Backward(batch, new LossCoefficients(0, 0.003f));
        float[] whole = loaded.Gradients();
        loaded.Model.ClearGradients();
        foreach (int half in new[] { 0, 64 })
            loaded.Model.Backward(new WindowBatch(2, 32, batch.Inputs[half..(half + 64)], batch.Targets[half..(half + 64)]), new LossCoefficients(0, 0.003f), scale: 0.5f);
        float[] parts = loaded.Gradients();
        double norm = Math.Sqrt(whole.Sum(g => (double)g * g)), difference = Math.Sqrt(whole.Zip(parts, (a, b) => (double)(a - b) * (a - b)).Sum());
        Assert.InRange(difference, 0, 1e-5 * norm);
    }

    [Fact]
    public void Bf16_products_turn_the_gradient_little()
    {
        string folder = TestPaths.Model;
        using var exact = new Loaded(folder, threads: 2, ProductFormat.F32);
        using var rounded = new Loaded(folder, threads: 2, ProductFormat.Bf16);
        var batch = Batch(exact.Model.Config, windows: 2, length: 96);
        var (a, b) = (exact.Model.Backward(batch, s_coefficients), rounded.Model.Backward(batch, s_coefficients));
        Assert.InRange(Math.Abs(a.CrossEntropy - b.CrossEntropy), 0, 0.02 * a.CrossEntropy);
        double dot = 0, x = 0, y = 0;
        foreach (var (g, h) in exact.Gradients().Zip(rounded.Gradients()))
        {
            dot += (double)g * h;
            x += (double)g * g;
            y += (double)h * h;
        }

        Assert.InRange(dot / Math.Sqrt(x * y), 0.98, 1);
    }

    [Fact]
    public void What_has_no_gradient_is_named()
    {
        using var team = new ThreadTeam(1);
        var config = ModelConfig.Load(TestPaths.Golden("deepseek_v2"));
        var e = Assert.Throws<NotSupportedException>(() => new TrainableModel(config, team, ProductFormat.F32));
        Assert.Contains("latent attention", e.Message);
    }

    [Fact]
    public void Wrong_batches_are_refused()
    {
        using var loaded = new Loaded(TestPaths.Golden("mixtral"), threads: 1, ProductFormat.F32);
        Assert.Contains("outside the vocabulary", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(new WindowBatch(1, 2, [0, 1000], [1, 1]))).Message);
        Assert.Contains("outside the vocabulary", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(new WindowBatch(1, 2, [-1, 1], [1, 1]))).Message);
        Assert.Contains("expected 2 inputs and targets", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(new WindowBatch(1, 2, [0], [1]))).Message);
        Assert.Contains("found 1 of 300", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(new WindowBatch(1, 300, new int[300], new int[300]))).Message);
    }

    private static WindowBatch Batch(ModelConfig config, int windows, int length)
    {
        var random = new Random(5);
        int[] ids = [.. Enumerable.Range(0, windows * length).Select(_ => random.Next(config.VocabSize))];
        int[] targets = [.. ids.Select((_, i) => i % 7 == 6 ? -1 : random.Next(config.VocabSize))];
        return new WindowBatch(windows, length, ids, targets);
    }

    private sealed class Loaded : IDisposable
    {
        private readonly ThreadTeam team;

        public Loaded(string folder, int threads, ProductFormat products)
        {
            using var checkpoint = Checkpoint.Open(folder);
            team = new ThreadTeam(threads);
            Model = new TrainableModel(ModelConfig.Load(folder), team, products);
            Model.Parameters.Load(checkpoint);
        }

        public TrainableModel Model { get; }

        public float[] Gradients() => [.. Model.Parameters.All.SelectMany(p => Model.Parameters.GradientOf(p).ToArray())];

        public void Dispose()
        {
            Model.Dispose();
            team.Dispose();
        }
    }
}

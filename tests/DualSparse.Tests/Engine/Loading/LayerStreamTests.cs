using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Loading;

/// <summary>Layer by layer gives, bit for bit, what the whole model in memory gives.</summary>
public class LayerStreamTests
{
    private static readonly DropThresholds s_thresholds = new(0.2f, 0.3f);

    public static TheoryData<string, WeightFormat> Families => new()
    {
        { "mixtral", WeightFormat.F32 },
        { "olmoe", WeightFormat.F32 },
        { "qwen2_moe", WeightFormat.Int8 },
        { "qwen3_moe", WeightFormat.F32 },
        { "deepseek_v2", WeightFormat.Bf16 },
        { "scmoe/pos3", WeightFormat.F32 }, // two layers at a time
        { "scmoe/pos2_cg2", WeightFormat.Int8 },
        { "scmoe/dgmoe", WeightFormat.Bf16 },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_and_counts_are_the_transformers(string family, WeightFormat weights)
    {
        string folder = TestPaths.Golden(family);
        int[][] windows = Windows(folder);
        var options = new EngineOptions { Weights = weights };
        using var model = Transformer.Load(folder, options);
        using var stream = LayerStream.Open(folder, options);
        int layers = model.Config.Layers, experts = model.Config.Moe!.Experts, hidden = model.Config.HiddenSize;
        Compensation?[] means = [.. Enumerable.Range(0, layers).Select(l => model.Config.LayerPlan[l].IsMoe ? Means(hidden, experts, l) : null)];
        DropRequest[] requests =
        [
            DropRequest.None,
            new() { Thresholds = s_thresholds },
            new() { Layers = [.. Enumerable.Range(0, layers).Select(l => new LayerThresholds(l == layers - 1 ? s_thresholds : default))] },
            new() { Rate = 0.4, Compensate = true },
            new() { Layers = [.. Enumerable.Repeat(new LayerThresholds(default), layers)] },
        ];
        List<float>[] logits = [.. requests.Select(_ => new List<float>())];
        var counts = stream.Run(windows, [.. requests.Select(r => stream.Plan(r, means))], new StreamHooks { Logits = Keep }, cancel: TestContext.Current.CancellationToken);
        for (int v = 0; v < requests.Length; v++)
        {
            var plan = model.Plan(requests[v], means);
            var work = new DropCounts[layers];
            List<float> expected = [];
            foreach (int[] window in windows)
            {
                using var cache = model.NewCache(window.Length);
                var text = model.NewText(plan);
                expected.AddRange(model.Forward(cache, window, LogitRows.All, text));
                for (int l = 0; l < layers; l++)
                    work[l] += text.Layers[l];
            }

            Assert.Equal(expected, logits[v]);
            Assert.Equal(work, counts[v]);
        }

        // Of a single expert the guard keeps the major half.
        Assert.True(counts[1].Sum(c => c.Dropped + c.MajorOnly) > 0 && counts[2].Sum(c => c.Dropped + c.MajorOnly) > 0);
        Assert.NotEqual(logits[0], logits[1]);

        void Keep(int window, int variant, int first, ReadOnlySpan<float> dense, ReadOnlySpan<float> own)
        {
            logits[variant].AddRange(own);
            Assert.True(dense.SequenceEqual(logits[0].ToArray().AsSpan(logits[0].Count - dense.Length)));
        }
    }

    [Fact]
    public void Hooks_see_each_layers_routing_and_neurons()
    {
        string folder = TestPaths.Golden("olmoe");
        int[][] windows = Windows(folder);
        using var stream = LayerStream.Open(folder);
        List<(int Layer, int Variant, int Window)> steps = [];
        int rows = 0, tokens = 0;
        double told = 0;
        stream.Run(
            windows,
            [stream.Plan(DropRequest.None), stream.Plan(new() { Thresholds = s_thresholds })],
            new StreamHooks
            {
                Watch = step => new PassWatch
                {
                    Neurons = (_, _) => step.Variant == 0 ? (_, _, _, _) => rows++ : null,
                    Routed = (layer, routing) =>
                    {
                        Assert.Equal((step.Layer, windows[step.Window].Length), (layer, routing.Tokens));
                        tokens += step.Variant == 0 ? routing.Experts.Length : 0;
                    },
                },
                After = step => steps.Add((step.Layer, step.Variant, step.Window)),
            },
            new Told(share => told = share),
            TestContext.Current.CancellationToken);
        Assert.Equal(tokens, rows);
        Assert.Equal(1, told);
        Assert.Equal(2 * windows.Length * stream.Config.Layers, steps.Distinct().Count());
    }

    [Fact]
    public void What_makes_no_sense_is_refused()
    {
        using var stream = LayerStream.Open(TestPaths.Golden("olmoe"));
        Refused("no window", []);
        Refused("vocabulary", [[1, -1]]);
        Refused("tokens, expected 1 to", [[]]);
        Refused("expected one that drops nothing", [[1]], new DropRequest { Rate = 0.5 });
        Refused("layers", [[1]], DropRequest.None, new DropRequest { Layers = [] });

        void Refused(string sentence, int[][] windows, params DropRequest[] variants) => Assert.Contains(
            sentence,
            Assert.Throws<ArgumentException>(() => stream.Run(windows, variants is [] ? [stream.Plan(DropRequest.None)] : [.. variants.Select(v => stream.Plan(v))], new StreamHooks(), cancel: TestContext.Current.CancellationToken)).Message);
    }

    // The golden rows, and a shorter window.
    private static int[][] Windows(string folder)
    {
        using var golden = SafetensorsFile.Open(Path.Combine(folder, "golden.safetensors"));
        // Files about training have one id more, which is only predicted.
        var ids = golden.Tensors.TryGetValue("ids", out var training) ? training : golden.Get("input_ids");
        int[][] rows = [.. ids.ReadInt64s().Select(id => (int)id).Chunk((int)ids.RowLength)];
        return [.. rows, rows[0][5..17]];
    }

    private static Compensation Means(int hidden, int experts, int seed)
    {
        var random = new Random(seed);
        return new Compensation(hidden, Values(), Values());

        float[] Values() => [.. Enumerable.Range(0, experts * hidden).Select(_ => (float)random.NextDouble() * 0.01f)];
    }

    private sealed class Told(Action<double> action) : IProgress<double>
    {
        public void Report(double value) => action(value);
    }
}

using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine;

/// <summary>A layer as a list of operators: what stands where, and what of it may move.</summary>
public sealed unsafe class LayerProgramTests : IDisposable
{
    private const int Rows = 21;

    private readonly ThreadTeam team = new(2);
    private readonly Workspace work;

    public LayerProgramTests() => work = new Workspace(team, KernelSet.Best());

    public void Dispose()
    {
        work.Dispose();
        team.Dispose();
    }

    public static TheoryData<string, WeightFormat> Families => new()
    {
        { "olmoe", WeightFormat.F32 },
        { "olmoe", WeightFormat.Bf16 },
        { "qwen2_moe", WeightFormat.Int8 }, // shared experts with a gate
        { "deepseek_v2", WeightFormat.Bf16 }, // shared experts without
    };

    // The wiring of a shortcut: begun before the layer's attention, ended after the next layer's.
    [Theory]
    [MemberData(nameof(Families))]
    public void Experts_anywhere_between_begin_and_end_give_the_same_bits(string family, WeightFormat weights)
    {
        using var model = new TwoLayers(this, family, weights);
        var (a, b) = (model.Indices[0], model.Indices[1]);
        Operator[] rest =
        [
            new(OperatorKind.BeginExperts, a), new(OperatorKind.Attention, a), .. model.Shared(a), new(OperatorKind.Attention, b), new(OperatorKind.EndExperts, a),
            new(OperatorKind.BeginExperts, b), new(OperatorKind.Experts, b), new(OperatorKind.EndExperts, b),
        ];
        int end = Array.IndexOf(rest, new(OperatorKind.EndExperts, a));
        float[][] runs = [.. Enumerable.Range(1, end).Select(place => model.Run([.. rest[..place], new(OperatorKind.Experts, a), .. rest[place..]]))];
        Assert.True(runs.Length >= 3);
        Assert.All(runs, run => Assert.Equal(runs[0], run));
    }

    // Two layers' rows under way at once, in either order of their experts.
    [Fact]
    public void Two_tickets_may_be_open_at_once()
    {
        using var model = new TwoLayers(this, "olmoe", WeightFormat.F32);
        var (a, b) = (model.Indices[0], model.Indices[1]);
        Operator[] begin = [new(OperatorKind.BeginExperts, a), new(OperatorKind.BeginExperts, b)], end = [new(OperatorKind.EndExperts, a), new(OperatorKind.EndExperts, b)];
        float[] expected = model.Run([.. begin, new(OperatorKind.Experts, a), new(OperatorKind.Experts, b), .. end]);
        Assert.Equal(expected, model.Run([.. begin, new(OperatorKind.Experts, b), new(OperatorKind.Experts, a), .. end]));
        // Another memory each: not what one alone gives.
        Assert.NotEqual(expected, model.Run([begin[0], new(OperatorKind.Experts, a), end[0]]));
        Assert.Contains("have begun twice", Assert.Throws<InvalidOperationException>(() => model.Run([begin[0], begin[0]])).Message);
        Assert.Contains("have not begun", Assert.Throws<InvalidOperationException>(() => model.Run([end[0]])).Message);
        Assert.Equal(expected, model.Run([.. begin, new(OperatorKind.Experts, a), new(OperatorKind.Experts, b), .. end]));
    }

    // FarSkip-Collective (arXiv 2511.11505): attention reads A, the residual without the last layer's routed outputs; experts read R.
    [Fact]
    public void Two_residual_streams_can_be_said()
    {
        using var model = new TwoLayers(this, "olmoe", WeightFormat.F32);
        const int full = 0, without = 1;
        List<Operator> program = [new(OperatorKind.Copy, model.Indices[0], full, without)];
        foreach (int l in model.Indices)
        {
            program.AddRange(
            [
                new(OperatorKind.BeginExperts, l, From: full), new(OperatorKind.Attention, l, From: without, To: full), new(OperatorKind.Experts, l),
                new(OperatorKind.Copy, l, full, without), new(OperatorKind.EndExperts, l, To: full),
            ]);
        }

        float[] found = model.Run([.. program]);
        // By hand: the two layers' parts one by one, each on a state of its own.
        float[] x = model.Input, r0 = Add(x, model.Part(OperatorKind.Attention, 0, x)), y0 = Add(r0, model.Part(OperatorKind.Experts, 0, x));
        float[] r1 = Add(y0, model.Part(OperatorKind.Attention, 1, r0)), y1 = Add(r1, model.Part(OperatorKind.Experts, 1, y0));
        Assert.Equal(y1, found, (e, f) => Math.Abs(e - f) <= 1e-5f * (1 + Math.Abs(e)));
        Assert.NotEqual(model.Run([.. model.Plain(0), .. model.Plain(1)]), found);

        static float[] Add(float[] a, float[] b) => [.. a.Zip(b, (u, v) => u + v)];
    }

    // Today's sums are those of one rank; others add in another order, always the same.
    [Theory]
    [InlineData(1, "even")]
    [InlineData(2, "even")]
    [InlineData(3, "even")]
    [InlineData(8, "even")]
    [InlineData(3, "uneven")]
    [InlineData(8, "some without")]
    [InlineData(2, "sliced")]
    [InlineData(4, "sliced")]
    [InlineData(3, "hybrid")]
    public void Placements_of_several_ranks_agree(int ranks, string how)
    {
        ExpertPlacement Placement(int layer, int experts) => how switch
        {
            "even" => ExpertPlacement.Blocks(ranks, experts),
            "sliced" => ExpertPlacement.Blocks(ranks, experts, ranks),
            "hybrid" => ExpertPlacement.Blocks(ranks, experts, 2),
            "uneven" => new ExpertPlacement(ranks, [.. Enumerable.Range(0, experts).Select(e => e == 1 ? 2 : e % 5 == 0 ? 1 : 0)]),
            _ => new ExpertPlacement(ranks, [.. Enumerable.Range(0, experts).Select(e => e % 2 == 0 ? 6 : 3)]),
        };
        using var one = new TwoLayers(this, "olmoe", WeightFormat.F32);
        using var many = new TwoLayers(this, "olmoe", WeightFormat.F32, Placement);
        foreach (var drop in new[] { DropRequest.None, new DropRequest { Thresholds = new(0.2f, 0.3f) } })
        {
            float[] expected = one.Part(OperatorKind.Experts, 0, one.Input, drop), found = many.Part(OperatorKind.Experts, 0, one.Input, drop);
            double norm = Math.Sqrt(expected.Average(v => (double)v * v));
            // Parts of an expert add up in another order, too.
            double tolerance = (how is "sliced" or "hybrid" ? 2e-6 : 1e-6) * norm;
            Assert.All(expected.Zip(found), pair => Assert.InRange(pair.Second - pair.First, -tolerance, tolerance));
            Assert.Equal(found, many.Part(OperatorKind.Experts, 0, one.Input, drop));
            if (ranks == 1)
                Assert.Equal(expected, found);
        }
    }

    [Fact]
    public void A_placement_names_a_rank_for_each_expert()
    {
        Assert.Contains("expert 1 is on rank 2, expected 0 to 1", Assert.Throws<ArgumentException>(() => new ExpertPlacement(2, [0, 2])).Message);
        Assert.Contains("expected", Assert.Throws<ArgumentException>(() => new TwoLayers(this, "olmoe", WeightFormat.F32, (_, _) => new ExpertPlacement(1, [0]))).Message);
        Assert.Equal([0, 0, 1, 1, 2], [.. ExpertPlacement.Blocks(3, 5).RankOf]);
        Assert.Equal([0, 1, 0, 1, 0, 1], [.. ExpertPlacement.Blocks(2, 3, parts: 2).RankOf]);
        Assert.Equal([0, 2, 0, 2, 1, 3, 1, 3], [.. ExpertPlacement.Blocks(4, 4, parts: 2).RankOf]);
        Assert.Equal([2, 3, 6, 7], ExpertPlacement.Blocks(2, 3, parts: 2).NeuronsOf(8, part: 3));
        Assert.Contains("can't be cut into 3 parts", Assert.Throws<ArgumentException>(() => ExpertPlacement.Blocks(3, 3, parts: 3).NeuronsOf(8, part: 0)).Message);
    }

    // The first two layers with routed experts of a golden folder, on rows of made-up values.
    private sealed class TwoLayers : IDisposable
    {
        private readonly Checkpoint checkpoint;
        private readonly LayerWeights[] layers;
        private readonly Pass pass;
        private readonly DropPlanner planner;
        private readonly WeightFormat weights;

        public TwoLayers(LayerProgramTests owner, string family, WeightFormat weights, Func<int, int, ExpertPlacement>? placement = null)
        {
            this.weights = weights;
            checkpoint = Checkpoint.Open(TestPaths.Golden(family));
            var loader = new ModelLoader(checkpoint, new EngineOptions { Weights = weights, Placement = placement }, owner.team);
            Indices = [.. Enumerable.Range(0, checkpoint.Config.Layers).Where(l => checkpoint.Config.LayerPlan[l].IsMoe).Take(2)];
            layers = [.. Indices.Select(loader.LoadLayer)];
            pass = new Pass(checkpoint.Config, owner.work);
            planner = new DropPlanner(checkpoint, reordered: false);
            var random = new Random(1);
            Input = [.. Enumerable.Range(0, Rows * checkpoint.Config.HiddenSize).Select(_ => random.NextSingle() * 2 - 1)];
        }

        public int[] Indices { get; }

        public float[] Input { get; }

        public Operator[] Shared(int layer) => checkpoint.Config.Moe!.SharedIntermediate > 0 ? [new(OperatorKind.Shared, layer)] : [];

        public Operator[] Plain(int layer) => [.. LayerProgram.Of(checkpoint.Config).Where(o => o.Layer == Indices[layer])];

        // What one part of a layer adds to a state.
        public float[] Part(OperatorKind kind, int layer, float[] state, DropRequest? drop = null)
        {
            int l = Indices[layer];
            Operator[] program = kind == OperatorKind.Attention ? [new(kind, l, 0, 1)] : [new(OperatorKind.BeginExperts, l), new(kind, l), new(OperatorKind.EndExperts, l, To: 1)];
            return Run(program, state, stream: 1, drop);
        }

        public float[] Run(Operator[] program) => Run(program, Input, stream: 0);

        private float[] Run(Operator[] program, float[] state, int stream, DropRequest? drop = null)
        {
            using var cache = new KvCache(checkpoint.Config, weights, 64);
            KvCache.Reserve([new SequenceChunk(cache, new int[Rows])]);
            pass.Begin([new Segment(cache, 0, Rows, Drop: new TextDrop(planner.Plan(drop ?? DropRequest.None), checkpoint.Config.Layers))], watch: null);
            state.CopyTo(new Span<float>(pass.Stream(0), state.Length));
            new Span<float>(pass.Stream(1), state.Length).Clear();
            LayerProgram.Run(program, l => layers[Array.IndexOf(Indices, l)], pass, TestContext.Current.CancellationToken);
            return new ReadOnlySpan<float>(pass.Stream(stream), state.Length).ToArray();
        }

        public void Dispose()
        {
            pass.Dispose();
            Array.ForEach(layers, l => l.Dispose());
            checkpoint.Dispose();
        }
    }
}

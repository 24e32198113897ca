using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Ranks;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Loading;

/// <summary>Loads a checkpoint's tensors into layers, one tensor at a time.</summary>
internal sealed class ModelLoader
{
    private readonly Checkpoint checkpoint;
    private readonly ModelConfig config;
    private readonly EngineOptions options;
    private readonly ThreadTeam team;
    private readonly WeightPacker packer;
    private readonly Rope rope;
    private readonly IProgress<LoadProgress>? progress;
    private readonly CancellationToken cancel;
    private readonly Stack<IDisposable> made = new();
    private readonly long totalBytes;
    private long doneBytes;
    private long weightBytes;

    /// <summary>The format of the weights.</summary>
    public WeightFormat Weights => options.Weights;

    /// <summary>Loads parts of an open checkpoint on request.</summary>
    public ModelLoader(Checkpoint checkpoint, EngineOptions options, ThreadTeam team, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        (this.checkpoint, this.options, this.team, this.progress, this.cancel) = (checkpoint, options, team, progress, cancel);
        config = checkpoint.Config;
        packer = new WeightPacker(team);
        rope = new Rope(config.Rope.InverseFrequencies(), config.Rope.AttentionFactor, config.Rope.Interleaved, config.Rope.GridSections is { } sections ? GridRotation.Axes(sections) : null);
        totalBytes = config.Tensors.All().Sum(t => checkpoint.Get(t.Name, t.Shape).ByteLength);
    }

    /// <summary>Loads a folder; if it fails, everything allocated is freed.</summary>
    public static Transformer Load(string folder, EngineOptions options, IProgress<LoadProgress>? progress, CancellationToken cancel)
    {
        long started = Stopwatch.GetTimestamp();
        Stack<IDisposable> owned = new();
        try
        {
            var checkpoint = Own(Checkpoint.Open(folder));
            // Errors of dualsparse.json show before the weights are loaded.
            var planner = new DropPlanner(checkpoint, options.NeuronOrder is not null);
            planner.Plan(options.Drop);
            MemoryBudget.Require(MemoryNeed.WeightBytes(checkpoint.Config, options), folder);
            var team = Own(new ThreadTeam(options.Threads ?? ThreadTeam.Available));
            var work = Own(new Workspace(team, options.Kernels ?? KernelSet.Best()));
            var loader = new ModelLoader(checkpoint, options, team, progress, cancel);
            return loader.AllOrNothing(() => new Transformer(checkpoint, team, work, loader.Parts(), planner, options, loader.Report(work, started)));
        }
        catch
        {
            while (owned.TryPop(out var thing))
                thing.Dispose();
            throw;
        }

        T Own<T>(T thing) where T : IDisposable
        {
            owned.Push(thing);
            return thing;
        }
    }

    /// <summary>Loads one layer, which the caller disposes; if it fails, everything allocated is freed.</summary>
    public LayerWeights LoadLayer(int index) => AllOrNothing(() => Layer(index, config.Tensors.Layer(index)));

    /// <summary>Loads the routed experts of a layer that this process's rank has, its caller's to dispose; null where the layer has none.</summary>
    public PackedExperts? LoadExperts(int index) =>
        config.Tensors.Layer(index) is { Mlp: null } tensors ? AllOrNothing(() => RoutedExperts(index, tensors, options.Placement!(index, config.Moe!.Experts))) : null;

    /// <summary>Loads the final norm and the head, which the caller disposes; if it fails, everything allocated is freed.</summary>
    public OutputHead LoadHead() => AllOrNothing(Head);

    /// <summary>Loads the vision tower, which the caller disposes; if it fails, everything allocated is freed. Null: there is none, or it is the first rank's.</summary>
    public VisionTower? LoadTower() => AllOrNothing(Tower);

    private ModelParts Parts()
    {
        var layers = Enumerable.Range(0, config.Layers).Select(l => Layer(l, config.Tensors.Layer(l))).ToArray();
        var head = Head();
        // The embedding stays in the mapped file, so it counts as done.
        if (!config.TieEmbeddings)
            Report(config.Tensors.Embedding);
        return new ModelParts(new Embedding(checkpoint.Get(config.Tensors.Embedding)), layers, head, Tower());
    }

    private LoadReport Report(Workspace work, long started) => new(
        Stopwatch.GetElapsedTime(started).TotalSeconds, totalBytes, weightBytes, options.Weights, work.Kernels[options.Weights].Name, work.Team.Size);

    // Loads all parts of something, or frees those that were made.
    private T AllOrNothing<T>(Func<T> load)
    {
        try
        {
            var loaded = load();
            made.Clear();
            return loaded;
        }
        catch
        {
            while (made.TryPop(out var thing))
                thing.Dispose();
            throw;
        }
    }

    private OutputHead Head()
    {
        var (first, count) = options.Trunk.Ids(config.VocabSize);
        return new(Vector(config.Tensors.FinalNorm)!, Linear([WeightSlice.Of(config.Tensors.Head).RowRange(first, count)]), first);
    }

    private VisionTower? Tower() =>
        config.Vision is { } vision && options.Rank is null or 0 ? Keep(new VisionTower(this, vision, config.Tensors.Vision!, config.HiddenSize)) : null;

    private LayerWeights Layer(int index, LayerTensors tensors) => new(
        Vector(tensors.InputNorm)!,
        Keep(AttentionLayer.Load(this, config, rope, index, options.Trunk)),
        Vector(tensors.PostAttentionNorm)!,
        tensors.Mlp is null ? Moe(index, tensors) : null,
        tensors.Mlp is { } dense ? Mlp(dense) : null);

    private MoeLayer Moe(int index, LayerTensors tensors)
    {
        var moe = config.Moe!;
        var router = new Router(moe, Linear([WeightSlice.Of(tensors.Router!)], format: WeightFormat.F32));
        var placement = options.Placement?.Invoke(index, moe.Experts);
        var experts = RoutedExperts(index, tensors, placement);
        var shared = tensors.SharedExpert is { } wide ? Mlp(wide) : null;
        var combineGate = tensors.CombineGate is { } gate ? Linear([WeightSlice.Of(gate)], format: WeightFormat.F32) : null;
        return new MoeLayer(router, experts, shared, combineGate, placement, options.Peers?.Exchange ?? LocalExchange.Of(options.Rank), options.Balance);
    }

    // An MLP that every row takes, in this process's parts.
    private DenseMlp Mlp(MlpTensors all)
    {
        bool cut = options.Trunk.CutsNeurons(all.Neurons);
        return new DenseMlp(
        [
            .. options.Trunk.Mlp(all.Neurons).Select(part =>
            {
                var (first, count) = TrunkCut.Neurons(part, all.Neurons);
                return Experts(1, count, _ => all.Range(first, count));
            }),
        ], cut);
    }

    // Those of this process's rank, or of all; of an expert that is cut each part by itself.
    private PackedExperts RoutedExperts(int index, LayerTensors tensors, ExpertPlacement? placement)
    {
        var moe = config.Moe!;
        placement ??= ExpertPlacement.SingleRank(moe.Experts);
        int parts = placement.Parts;
        int[] own = options.Rank is { } rank ? placement.PartsOf(rank) : [.. Enumerable.Range(0, moe.Experts * parts)];
        var experts = Experts(own.Length, moe.Intermediate / parts, i => tensors.Expert(own[i] / parts), parts == 1 && options.NeuronOrder is null ? null : Order);
        if (options.Balance is { Switches: true })
            experts.MeasureOutputs(team);
        return experts;

        int[] Order(int i)
        {
            int[] neurons = placement.NeuronsOf(moe.Intermediate, own[i]);
            int[]? order = options.NeuronOrder is { } chosen ? Checked(chosen(index, own[i] / parts), moe.Intermediate) : null;
            return order is null ? neurons : [.. neurons.Select(n => order[n])];
        }
    }

    private PackedExperts Experts(int count, int neurons, Func<int, MlpTensors> tensors, Func<int, int[]>? order = null)
    {
        var packed = Keep(new PackedExperts(options.Weights, count, config.HiddenSize, neurons));
        weightBytes += (long)packed.Bytes;
        for (int e = 0; e < count; e++)
        {
            var expert = tensors(e);
            using WeightView gate = Slice(expert.Gate), up = Slice(expert.Up), down = Slice(expert.Down);
            packer.Pack(packed, e, gate, up, down, order?.Invoke(e));
            Report(gate.ByteLength + up.ByteLength + down.ByteLength);
        }

        return packed;
    }

    private static int[] Checked(int[] order, int neurons) => order.Order().SequenceEqual(Enumerable.Range(0, neurons))
        ? order
        : throw new ArgumentException($"a neuron order has {order.Length} positions, expected each of an expert's {neurons} neurons once");

    /// <summary>A map with a bias.</summary>
    internal Linear Linear(BiasedTensors tensors, WeightFormat? format = null) => Linear([tensors.Matrix], Vector(tensors.Bias), format);

    /// <summary>Projections with the same input, stacked into one map.</summary>
    internal Linear Linear(WeightSlice[] stacked, float[]? bias = null, WeightFormat? format = null)
    {
        int outputs = stacked.Sum(slice => slice.Rows);
        var linear = Keep(new Linear(format ?? options.Weights, outputs, stacked[0].Columns, bias));
        weightBytes += (long)linear.Weights.Bytes;
        WeightView[] views = [.. stacked.Select(Slice)];
        packer.Pack(linear.Weights, views);
        Report(views.Sum(view => view.ByteLength));
        foreach (var view in views)
            view.Dispose();
        return linear;
    }

    /// <summary>Some heads' W_UK, its transpose and W_UV, from a tensor that has W_UK's and W_UV's rows by head: [heads · (nope + value), kv rank].</summary>
    internal (HeadLinear KeyUp, HeadLinear KeyDown, HeadLinear ValueUp) LatentHeads(TensorSpec latentUp, int firstHead, int heads, MlaConfig mla)
    {
        var keyUp = Keep(new HeadLinear(options.Weights, heads, mla.NopeSize, mla.KvRank));
        var keyDown = Keep(new HeadLinear(options.Weights, heads, mla.KvRank, mla.NopeSize));
        var valueUp = Keep(new HeadLinear(options.Weights, heads, mla.ValueSize, mla.KvRank));
        int keyWeights = mla.NopeSize * mla.KvRank, valueWeights = mla.ValueSize * mla.KvRank;
        float[] rows = new float[keyWeights + valueWeights];
        for (int h = 0; h < heads; h++)
        {
            Tensor(latentUp).ReadFloats((long)(firstHead + h) * rows.Length, rows);
            packer.Pack(keyUp.Heads[h], rows.AsMemory(0, keyWeights), mla.KvRank);
            packer.PackTransposed(keyDown.Heads[h], rows.AsMemory(0, keyWeights), mla.KvRank);
            packer.Pack(valueUp.Heads[h], rows.AsMemory(keyWeights), mla.KvRank);
        }

        weightBytes += new[] { keyUp, keyDown, valueUp }.Sum(l => l.Heads.Sum(m => (long)m.Bytes));
        Tensor(latentUp).Release();
        Report(latentUp);
        return (keyUp, keyDown, valueUp);
    }

    /// <summary>A norm's or bias's values; null for no tensor.</summary>
    internal float[]? Vector(TensorSpec? tensor)
    {
        if (tensor is null)
            return null;
        float[] values = Tensor(tensor).ReadFloats();
        Report(tensor);
        return values;
    }

    private TensorView Tensor(TensorSpec tensor)
    {
        cancel.ThrowIfCancellationRequested();
        var view = checkpoint.Get(tensor.Name, tensor.Shape);
        view.RequireWhole();
        return view;
    }

    private WeightView Slice(WeightSlice slice)
    {
        cancel.ThrowIfCancellationRequested();
        return checkpoint.Get(slice, team);
    }

    private void Report(TensorSpec tensor) => Report(Tensor(tensor).ByteLength);

    private void Report(long bytes)
    {
        doneBytes += bytes;
        progress?.Report(new LoadProgress(Math.Min(doneBytes, totalBytes), totalBytes));
    }

    private T Keep<T>(T thing) where T : IDisposable
    {
        made.Push(thing);
        return thing;
    }
}

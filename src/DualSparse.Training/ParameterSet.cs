using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Training;

/// <summary>
/// All tensors of a model in f32, one after another, and their gradients in a second block at the same places. The gaps between them are zero
/// in both. A rank has all places, but touches only the tensors that it holds, so that the others take no memory.
/// </summary>
internal sealed unsafe class ParameterSet : IDisposable
{
    // Floats of a cache line: every tensor begins on one.
    private const int Alignment = 16;

    // Elements that one thread does at a time: some microseconds of memory's time, and a multiple of every vector.
    private const int ChunkLength = 1 << 14;

    private readonly AlignedBuffer values, gradients;
    private readonly IReadOnlyList<ParameterChunk> kept;
    private readonly Dictionary<string, Parameter> byName = new(StringComparer.Ordinal);

    /// <summary>Makes room for a model's tensors; values and gradients are zero.</summary>
    /// <param name="config">The model, each expert with tensors of its own, as a configuration file alone describes it.</param>
    /// <param name="parts">Which experts this process has.</param>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public ParameterSet(ModelConfig config, TrainingParts parts)
    {
        List<Parameter> all = [];
        long end = 0;
        foreach (var (slice, expert) in Slices(config))
        {
            var parameter = new Parameter(slice.Tensor.Name, slice.Tensor.Shape, end, expert);
            all.Add(parameter);
            byName.Add(parameter.Name, parameter);
            end = (end + parameter.Count + Alignment - 1) / Alignment * Alignment;
        }

        (All, Length, WeightsName) = (all, end, config.WeightsName);
        Stored = [.. all.Zip(Slices(Released(config))).GroupBy(pair => pair.Second.Slice.Tensor.Name).Select(group =>
            new StoredTensor(group.First().Second.Slice.Tensor, [.. group.Select(pair => (pair.First, pair.Second.Slice))]))];
        Held = [.. all.Where(parameter => parameter.Expert is not { } expert || parts.Holds(expert, config.Moe!.Experts))];
        Chunks = [.. Held.SelectMany(parameter => ChunksOf(parameter, all.IndexOf(parameter)))];
        values = new AlignedBuffer((nuint)end * sizeof(float));
        gradients = new AlignedBuffer((nuint)end * sizeof(float));
        kept = parts.KeepsAll ? [.. all.SelectMany(parameter => ChunksOf(parameter, 0))] : Chunks;
        Clear(Values);
        Clear(Gradients);
    }

    /// <summary>The tensors, in the order of their offsets.</summary>
    public IReadOnlyList<Parameter> All { get; }

    /// <summary>The tensors as a checkpoint of the family has them, in order.</summary>
    public IReadOnlyList<StoredTensor> Stored { get; }

    /// <summary>Those that this process has, in the same order.</summary>
    public IReadOnlyList<Parameter> Held { get; }

    /// <summary>The held tensors with the gaps after them, in pieces for threads, in order.</summary>
    public IReadOnlyList<ParameterChunk> Chunks { get; }

    /// <summary>See <see cref="ModelConfig.WeightsName"/>.</summary>
    public string WeightsName { get; }

    /// <summary>Elements of all, gaps included.</summary>
    public long Length { get; }

    /// <summary>[<see cref="Length"/>] f32.</summary>
    public float* Values => (float*)values.Pointer;

    /// <summary>[<see cref="Length"/>] f32: the gradient of the loss.</summary>
    public float* Gradients => (float*)gradients.Pointer;

    /// <summary>A tensor by its name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Parameter this[string name] => byName[name];

    /// <summary>A tensor of the model, or null where the model doesn't have it.</summary>
    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(tensor))]
    public Parameter? Find(TensorSpec? tensor) => tensor is null ? null : byName[tensor.Name];

    /// <summary>A tensor's values.</summary>
    public Span<float> ValuesOf(Parameter parameter) => new(Values + parameter.Offset, checked((int)parameter.Count));

    /// <summary>A tensor's gradient.</summary>
    public Span<float> GradientOf(Parameter parameter) => new(Gradients + parameter.Offset, checked((int)parameter.Count));

    /// <summary>Sets a block of <see cref="Length"/> elements to 0, as far as this process keeps it.</summary>
    public void Clear(float* block)
    {
        foreach (var chunk in kept)
            new Span<float>(block + chunk.First, chunk.Count).Clear();
    }

    /// <summary>Sets the gradients to 0.</summary>
    public void ClearGradients(ThreadTeam team) => team.For(Chunks.Count, (item, _) => new Span<float>(Gradients + Chunks[item].First, Chunks[item].Count).Clear());

    /// <summary>Reads the values of a checkpoint of the same model, widened to f32, whatever its tensors are called and however it stores its experts.</summary>
    /// <exception cref="ModelFormatException">A tensor's file is damaged.</exception>
    public void Load(Checkpoint checkpoint)
    {
        foreach (var (parameter, slice) in All.Zip(Slices(checkpoint.Config)))
        {
            using var stored = checkpoint.Get(slice.Slice);
            stored.ReadFloats(0, ValuesOf(parameter));
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        values.Dispose();
        gradients.Dispose();
    }

    private static IEnumerable<ParameterChunk> ChunksOf(Parameter parameter, int tensor)
    {
        long end = (parameter.Offset + parameter.Count + Alignment - 1) / Alignment * Alignment;
        for (long first = parameter.Offset; first < end; first += ChunkLength)
            yield return new ParameterChunk(tensor, first, (int)Math.Min(ChunkLength, end - first));
    }

    // Released vision-language models have all of a layer's experts in two tensors, and their readers expect it.
    private static ModelConfig Released(ModelConfig config) =>
        config is { Vision: not null, Names.Experts: ExpertStorage.Separate } ? config with { Names = config.Names with { Experts = ExpertStorage.FusedTransposed } } : config;

    // Every tensor once, in one order for each model; of experts that are stored together, each expert's matrices.
    private static IEnumerable<(WeightSlice Slice, int? Expert)> Slices(ModelConfig config)
    {
        var tensors = config.Tensors;
        List<(WeightSlice, int?)> all = [Whole(tensors.Embedding)];
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = tensors.Layer(l);
            TensorSpec?[] alone = [layer.InputNorm, .. layer.Attention.All(), layer.PostAttentionNorm, layer.Router, layer.CombineGate];
            all.AddRange(alone.OfType<TensorSpec>().Select(Whole));
            foreach (var mlp in new[] { layer.Mlp, layer.SharedExpert }.OfType<MlpTensors>())
                all.AddRange([(mlp.Gate, null), (mlp.Up, null), (mlp.Down, null)]);
            for (int e = 0; e < (config.LayerPlan[l].IsMoe ? config.Moe!.Experts : 0); e++)
                all.AddRange([(layer.Expert(e).Gate, e), (layer.Expert(e).Up, e), (layer.Expert(e).Down, e)]);
        }

        all.Add(Whole(tensors.FinalNorm));
        if (!config.TieEmbeddings)
            all.Add(Whole(tensors.Head));
        all.AddRange((tensors.Vision?.All() ?? []).Select(Whole));
        return all;
    }

    private static (WeightSlice, int?) Whole(TensorSpec tensor)
    {
        int columns = checked((int)tensor.Shape[^1]), rows = checked((int)(tensor.Count / columns));
        return (new WeightSlice(tensor, 0, rows, columns, columns, 1), null);
    }
}

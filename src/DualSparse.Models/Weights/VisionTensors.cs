namespace DualSparse.Models;

/// <summary>Weight and bias of a linear map or of a layer norm.</summary>
/// <param name="Weight">[out, in], of the patches' embedding [out, channels, frames, side, side]; of a norm [n].</param>
/// <param name="Bias">[out], of a norm [n].</param>
internal sealed record BiasedTensors(TensorSpec Weight, TensorSpec Bias)
{
    /// <summary>The weight as a matrix [out, in].</summary>
    public WeightSlice Matrix
    {
        get
        {
            int rows = checked((int)Weight.Shape[0]), columns = checked((int)(Weight.Count / rows));
            return new WeightSlice(Weight, 0, rows, columns, columns, 1);
        }
    }

    /// <summary>Both.</summary>
    public IEnumerable<TensorSpec> All() => [Weight, Bias];
}

/// <summary>A layer norm, then two maps with a function between them: a block's MLP, or a merger.</summary>
/// <param name="Norm">Weight and bias of the norm before.</param>
/// <param name="Up">The first map.</param>
/// <param name="Down">The second.</param>
internal sealed record NormedMlpTensors(BiasedTensors Norm, BiasedTensors Up, BiasedTensors Down)
{
    /// <summary>All of them.</summary>
    public IEnumerable<TensorSpec> All() => [.. Norm.All(), .. Up.All(), .. Down.All()];
}

/// <summary>A block's tensors.</summary>
/// <param name="AttentionNorm">The norm before attention.</param>
/// <param name="QueryKeyValue">[3 · hidden, hidden]: queries of all heads, keys, values.</param>
/// <param name="Output">[hidden, hidden].</param>
/// <param name="Mlp">Norm, [intermediate, hidden] and [hidden, intermediate].</param>
internal sealed record VisionBlockTensors(BiasedTensors AttentionNorm, BiasedTensors QueryKeyValue, BiasedTensors Output, NormedMlpTensors Mlp)
{
    /// <summary>All of them.</summary>
    public IEnumerable<TensorSpec> All() => [.. AttentionNorm.All(), .. QueryKeyValue.All(), .. Output.All(), .. Mlp.All()];
}

/// <summary>The tensors of a vision tower.</summary>
internal sealed class VisionTensors
{
    private readonly VisionConfig vision;
    private readonly int output;
    private readonly string root;

    internal VisionTensors(VisionConfig vision, int output, string root) => (this.vision, this.output, this.root) = (vision, output, root);

    /// <summary>From a patch's numbers to its row, [hidden, channels, frames, side, side].</summary>
    public BiasedTensors Patches => new(
        new($"{root}patch_embed.proj.weight", vision.HiddenSize, vision.Channels, vision.PatchFrames, vision.PatchSize, vision.PatchSize),
        new($"{root}patch_embed.proj.bias", vision.HiddenSize));

    /// <summary>[side · side, hidden], a row of the grid after another.</summary>
    public TensorSpec Positions => new($"{root}pos_embed.weight", vision.GridSide * (long)vision.GridSide, vision.HiddenSize);

    /// <summary>From the last block's rows to the text model's.</summary>
    public NormedMlpTensors Merger => MergerOf("merger", vision.HiddenSize);

    /// <summary>A block.</summary>
    public VisionBlockTensors Block(int block)
    {
        string prefix = $"blocks.{block}.";
        int hidden = vision.HiddenSize;
        return new(
            Norm(prefix + "norm1", hidden),
            Map(prefix + "attn.qkv", 3 * hidden, hidden),
            Map(prefix + "attn.proj", hidden, hidden),
            new(Norm(prefix + "norm2", hidden), Map(prefix + "mlp.linear_fc1", vision.Intermediate, hidden), Map(prefix + "mlp.linear_fc2", hidden, vision.Intermediate)));
    }

    /// <summary>From a block's rows to what is added behind a layer of the text model; its norm is over all patches that become one row.</summary>
    public NormedMlpTensors DeepMerger(int index) => MergerOf($"deepstack_merger_list.{index}", vision.MergedSize);

    /// <summary>All of them, each once.</summary>
    public IEnumerable<TensorSpec> All() =>
    [
        .. Patches.All(), Positions, .. Enumerable.Range(0, vision.Layers).SelectMany(block => Block(block).All()),
        .. Merger.All(), .. Enumerable.Range(0, vision.DeepLayers.Count).SelectMany(index => DeepMerger(index).All()),
    ];

    private NormedMlpTensors MergerOf(string name, int normed) => new(
        Norm($"{name}.norm", normed), Map($"{name}.linear_fc1", vision.MergedSize, vision.MergedSize), Map($"{name}.linear_fc2", output, vision.MergedSize));

    private BiasedTensors Map(string name, int outputs, int inputs) => new(new($"{root}{name}.weight", outputs, inputs), new($"{root}{name}.bias", outputs));

    private BiasedTensors Norm(string name, int width) => new(new($"{root}{name}.weight", width), new($"{root}{name}.bias", width));
}

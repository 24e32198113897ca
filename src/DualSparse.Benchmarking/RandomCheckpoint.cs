using System.Runtime.InteropServices;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Benchmarking;

/// <summary>
/// A checkpoint of a known shape with random bf16 weights, written to a temporary folder and deleted with this object: it is loaded like
/// any other.
/// </summary>
internal sealed class RandomCheckpoint : IDisposable
{
    // Values that are repeated throughout a tensor: too many for any cache to benefit.
    private const int BlockValues = 1 << 20;

    // Several times the deepest model's; each layer is at least 700 MB.
    private const int MostLayers = 256;

    private RandomCheckpoint(string folder) => Folder = folder;

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Writes a checkpoint.</summary>
    /// <param name="shape">A name of <see cref="LayerShape.All"/>.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="weights">The format in which it will be loaded: if memory is too small for it, nothing is written.</param>
    /// <param name="cancel">Cancels between two writes; nothing is left.</param>
    /// <exception cref="ArgumentException">No such shape, or too few or too many layers.</exception>
    /// <exception cref="ModelFormatException">It is larger than the memory that is free.</exception>
    /// <exception cref="IOException">There is no room on the disk; nothing is left.</exception>
    public static RandomCheckpoint Write(string shape, int layers, WeightFormat weights, CancellationToken cancel = default)
    {
        if (layers is < 1 or > MostLayers)
            throw new ArgumentException($"layers is {layers}, expected 1 to {MostLayers}");
        return Write(Config(LayerShape.Named(shape), layers), $"{layers} layers of {shape}", weights, cancel);
    }

    /// <summary>Writes a checkpoint of any model.</summary>
    /// <param name="config">Its config.json.</param>
    /// <param name="what">What messages call it.</param>
    /// <param name="weights">The format in which it will be loaded.</param>
    /// <param name="cancel">Cancels between two writes; nothing is left.</param>
    /// <exception cref="ModelFormatException">It is larger than the memory that is free.</exception>
    /// <exception cref="IOException">There is no room on the disk; nothing is left.</exception>
    public static RandomCheckpoint Write(string config, string what, WeightFormat weights, CancellationToken cancel = default)
    {
        if (!Directory.Exists(Path.GetTempPath()))
            throw new IOException($"the weights are written to {Path.GetTempPath()}, the temporary folder, and there is no such folder: make it, or set TMPDIR to another");
        var checkpoint = new RandomCheckpoint(Directory.CreateTempSubdirectory("dualsparse-").FullName);
        try
        {
            File.WriteAllText(Path.Combine(checkpoint.Folder, "config.json"), config);
            checkpoint.WriteTensors(what, weights, cancel);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Deletes the folder.</summary>
    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>The config.json of a model of such layers; other settings are those of the model of that name.</summary>
    internal static string Config(LayerShape shape, int layers) => $$"""
        {{{Family(shape)}},"hidden_size":{{shape.Hidden}},"num_experts_per_tok":{{shape.TopK}},"num_hidden_layers":{{layers}},
        "max_position_embeddings":4096,"tie_word_embeddings":false,"hidden_act":"silu","torch_dtype":"bfloat16"}
        """;

    private static string Family(LayerShape shape) => shape.Name switch
    {
        "olmoe" => $"""
            "model_type":"olmoe","intermediate_size":{shape.Neurons},"num_attention_heads":16,"num_key_value_heads":16,
            "num_experts":{shape.Experts},"norm_topk_prob":false,"vocab_size":50304,"rms_norm_eps":1e-5
            """,
        "mixtral" => $"""
            "model_type":"mixtral","intermediate_size":{shape.Neurons},"num_attention_heads":32,"num_key_value_heads":8,
            "num_local_experts":{shape.Experts},"vocab_size":32000,"rms_norm_eps":1e-5
            """,
        "qwen3-30b-a3b" => $"""
            "model_type":"qwen3_moe","intermediate_size":6144,"moe_intermediate_size":{shape.Neurons},"num_attention_heads":32,
            "num_key_value_heads":4,"head_dim":128,"num_experts":{shape.Experts},"norm_topk_prob":true,"vocab_size":151936,
            "rms_norm_eps":1e-6
            """,
        "deepseek-v2-lite" => $"""
            "model_type":"deepseek_v2","intermediate_size":10944,"moe_intermediate_size":{shape.Neurons},"num_attention_heads":16,
            "num_key_value_heads":16,"kv_lora_rank":512,"q_lora_rank":null,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
            "n_routed_experts":{shape.Experts},"n_shared_experts":{shape.SharedNeurons / shape.Neurons},"first_k_dense_replace":1,"vocab_size":102400,
            "rms_norm_eps":1e-6
            """,
        _ => throw new ArgumentException($"no model is known for the shape '{shape.Name}'"),
    };

    private void WriteTensors(string what, WeightFormat weights, CancellationToken cancel)
    {
        var config = ModelConfig.Load(Folder);
        TensorDeclaration[] tensors = [.. config.Tensors.All().Select(t => new TensorDeclaration(t.Name, TensorType.BF16, t.Shape))];
        MemoryBudget.Require(MemoryNeed.WeightBytes(config, weights), what);
        long bytes = tensors.Sum(t => t.ByteLength), free = new DriveInfo(Folder).AvailableFreeSpace;
        if (bytes > free)
            throw new IOException($"{what} take {MemoryBudget.Format(bytes)} of disk, {MemoryBudget.Format(free)} is free under {Path.GetTempPath()}: use fewer layers");
        var random = new Random(1);
        ushort[] block = new ushort[BlockValues];
        foreach (ref ushort value in block.AsSpan())
            value = Bf16.FromSingle(MathF.CopySign(random.NextSingle() * 0.03f + 0.001f, random.NextSingle() - 0.5f));
        ushort[] ones = [.. Enumerable.Repeat(Bf16.FromSingle(1), 1 << 16)];
        using var writer = new CheckpointWriter(Folder, tensors);
        foreach (var tensor in tensors)
        {
            // A norm's weights are ones, so that the hidden state keeps its magnitude from layer to layer.
            var source = MemoryMarshal.AsBytes<ushort>(tensor.Shape.Length == 1 ? ones : block);
            for (long left = tensor.ByteLength; left > 0; left -= source.Length)
            {
                cancel.ThrowIfCancellationRequested();
                writer.AppendBytes(tensor.Name, source[..(int)Math.Min(left, source.Length)]);
            }
        }

        writer.Commit();
    }
}

using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.LlamaCpp.Gguf;

/// <summary>A checkpoint of OLMoE's family as llama.cpp reads it: names, keys, and an expert's matrices beside each other.</summary>
internal static class OlmoeGguf
{
    /// <summary>Writes the model of a folder; router and norms stay f32, as llama.cpp's own converter leaves them.</summary>
    /// <param name="folder">A Hugging Face folder.</param>
    /// <param name="weights">What the matrices become: f32, bf16, or Q8_0 for int8.</param>
    /// <param name="path">The file.</param>
    /// <param name="cancel">Cancels; the file isn't whole then.</param>
    /// <exception cref="ModelFormatException">The folder is damaged, or has what this file can't say.</exception>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Write(string folder, WeightFormat weights, string path, CancellationToken cancel)
    {
        using var checkpoint = Checkpoint.Open(folder);
        var config = checkpoint.Config;
        Require(config.ModelType == "olmoe" && config.Moe is { NormTopK: false }, folder, "a model that isn't OLMoE");
        Require(config.Attention is { ClipQkv: null, QkvBias: false, OutputBias: false } && config.Rope.Scaling is null, folder, "clipped projections, biases or scaled RoPE");
        Require(config.Names.Experts == ExpertStorage.Separate, folder, "experts in one tensor");
        GgufFile.Write(path, Metadata(config), [.. Tensors(config, TypeOf(weights))], checkpoint, cancel);
    }

    /// <summary>The type that stands for a format.</summary>
    public static GgufType TypeOf(WeightFormat weights) => weights switch
    {
        WeightFormat.F32 => GgufType.F32,
        WeightFormat.Bf16 => GgufType.BF16,
        _ => GgufType.Q8_0,
    };

    private static (string Key, object Value)[] Metadata(ModelConfig config) =>
    [
        ("general.architecture", "olmoe"),
        ("olmoe.block_count", (uint)config.Layers),
        ("olmoe.context_length", (uint)config.MaxPositions),
        ("olmoe.embedding_length", (uint)config.HiddenSize),
        ("olmoe.feed_forward_length", (uint)config.Moe!.Intermediate),
        ("olmoe.attention.head_count", (uint)config.Attention.Heads),
        ("olmoe.attention.head_count_kv", (uint)config.Attention.KeyValueHeads),
        ("olmoe.attention.layer_norm_rms_epsilon", config.NormEpsilon),
        ("olmoe.rope.freq_base", (float)config.Rope.Theta),
        ("olmoe.expert_count", (uint)config.Moe.Experts),
        ("olmoe.expert_used_count", (uint)config.Moe.TopK),
        ("olmoe.vocab_size", (uint)config.VocabSize),
        // Both engines are given ids.
        ("tokenizer.ggml.model", "none"),
    ];

    private static IEnumerable<GgufTensor> Tensors(ModelConfig config, GgufType type)
    {
        var tensors = config.Tensors;
        yield return One("token_embd", type, tensors.Embedding);
        for (int l = 0; l < config.Layers; l++)
        {
            var (layer, prefix) = (tensors.Layer(l), $"blk.{l}.");
            MlpTensors[] experts = [.. Enumerable.Range(0, config.Moe!.Experts).Select(layer.Expert)];
            yield return One(prefix + "attn_norm", GgufType.F32, layer.InputNorm);
            yield return One(prefix + "attn_q", type, layer.Attention.Query!);
            yield return One(prefix + "attn_k", type, layer.Attention.Key!);
            yield return One(prefix + "attn_v", type, layer.Attention.Value!);
            yield return One(prefix + "attn_q_norm", GgufType.F32, layer.Attention.QueryNorm!);
            yield return One(prefix + "attn_k_norm", GgufType.F32, layer.Attention.KeyNorm!);
            yield return One(prefix + "attn_output", type, layer.Attention.Output);
            yield return One(prefix + "ffn_norm", GgufType.F32, layer.PostAttentionNorm);
            yield return One(prefix + "ffn_gate_inp", GgufType.F32, layer.Router!);
            yield return All(prefix + "ffn_gate_exps", type, [.. experts.Select(e => e.Gate.Tensor)]);
            yield return All(prefix + "ffn_up_exps", type, [.. experts.Select(e => e.Up.Tensor)]);
            yield return All(prefix + "ffn_down_exps", type, [.. experts.Select(e => e.Down.Tensor)]);
        }

        yield return One("output_norm", GgufType.F32, tensors.FinalNorm);
        yield return One("output", type, tensors.Head);
    }

    private static GgufTensor One(string name, GgufType type, TensorSpec source) => new(name + ".weight", type, source.Shape, [source]);

    private static GgufTensor All(string name, GgufType type, TensorSpec[] sources) =>
        new(name + ".weight", type, [sources.Length, .. sources[0].Shape], sources);

    private static void Require(bool holds, string folder, string what)
    {
        if (!holds)
            throw new ModelFormatException($"{folder} has {what}, expected plain OLMoE: the comparison writes nothing else for llama.cpp");
    }
}

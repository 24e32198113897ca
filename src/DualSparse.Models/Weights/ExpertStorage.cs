namespace DualSparse.Models;

/// <summary>How a checkpoint stores the weights of a layer's routed experts.</summary>
internal enum ExpertStorage
{
    /// <summary>Three tensors an expert.</summary>
    Separate,

    /// <summary>Three tensors a layer, each all experts' matrices in a row, as mlx has them: [experts, neurons, hidden] twice, and [experts, hidden, neurons].</summary>
    Stacked,

    /// <summary>
    /// Two tensors a layer, as transformers 5 has them: <c>experts.gate_up_proj</c> [experts, 2 · neurons, hidden] and
    /// <c>experts.down_proj</c> [experts, hidden, neurons].
    /// </summary>
    Fused,

    /// <summary>The same two with each expert's matrices transposed, as Qwen3-VL-MoE is released: [experts, hidden, 2 · neurons] and [experts, neurons, hidden].</summary>
    FusedTransposed,
}

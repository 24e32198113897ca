using DualSparse.Engine.Moe;
using DualSparse.Kernels;

namespace DualSparse.Engine;

/// <summary>How a model is loaded and run.</summary>
public sealed record EngineOptions
{
    /// <summary>
    /// How the weights of linear maps are kept; the router, norms and embeddings stay as the checkpoint has them. Keys and values are f32
    /// beside f32 weights, else bf16.
    /// </summary>
    public WeightFormat Weights { get; init; } = WeightFormat.Bf16;

    /// <summary>Threads, or null for as many as this process may use.</summary>
    public int? Threads { get; init; }

    /// <summary>The kernels, or null for the best that this machine runs.</summary>
    public KernelSet? Kernels { get; init; }

    /// <summary>What the routed experts leave out unless a session asks otherwise.</summary>
    public DropRequest Drop { get; init; } = DropRequest.None;

    /// <summary>
    /// By layer and routed expert, which neuron comes to each place, [F]; null: as the checkpoint has them. The function stays the same,
    /// another half of the neurons becomes the major one. For comparisons: <c>sparsify</c> writes checkpoints in a good order.
    /// </summary>
    internal Func<int, int, int[]>? NeuronOrder { get; init; }

    /// <summary>By layer and number of experts, which rank has which; null: one has all. All ranks are this process: their sums are added as several processes would.</summary>
    internal Func<int, int, ExpertPlacement>? Placement { get; init; }

    /// <summary>Tokens of a prompt that go through the model at once: more than this only costs memory.</summary>
    public int ChunkTokens { get; init; } = 512;
}

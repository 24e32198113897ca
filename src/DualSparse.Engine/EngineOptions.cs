using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;

namespace DualSparse.Engine;

/// <summary>How a model is loaded and run.</summary>
public sealed record EngineOptions
{
    /// <summary>
    /// The format of the weights of linear maps; the router, norms and embeddings keep the checkpoint's precision. The KV cache is f32 with
    /// f32 weights, otherwise bf16.
    /// </summary>
    public WeightFormat Weights { get; init; } = WeightFormat.Bf16;

    /// <summary>The number of threads; null: as many as this process may use.</summary>
    public int? Threads { get; init; }

    /// <summary>The kernels; null: the best that this machine runs.</summary>
    public KernelSet? Kernels { get; init; }

    /// <summary>What sessions drop unless they set another request.</summary>
    public DropRequest Drop { get; init; } = DropRequest.None;

    /// <summary>A file with the chat template: Jinja, or a JSON file with <c>chat_template</c>; null: the model's own, where it has one.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>
    /// By layer and routed expert, the neuron at each position, [F]; null: the checkpoint's order. The model computes the same function;
    /// other neurons make up the major half. For comparisons: <c>sparsify</c> writes checkpoints in a good order.
    /// </summary>
    internal Func<int, int, int[]>? NeuronOrder { get; init; }

    /// <summary>
    /// By layer and number of experts, which rank has which; null: one has all. All ranks run in this process, which adds their sums as
    /// several processes would.
    /// </summary>
    internal Func<int, int, ExpertPlacement>? Placement { get; init; }

    /// <summary>The number of parts in which all but the routed experts is cut; 1: it is whole.</summary>
    internal int TrunkParts { get; init; } = 1;

    /// <summary>The rank whose experts and part of the trunk are loaded; null: those of all ranks.</summary>
    internal int? Rank { get; init; }

    /// <summary>The number of processes that share the model.</summary>
    internal int Ranks { get; init; } = 1;

    /// <summary>How loads are balanced between ranks; null: they aren't. A row then depends on the others of its pass.</summary>
    internal BalanceSetting? Balance { get; init; }

    /// <summary>How this process meets the others; null: all ranks are this process.</summary>
    internal RankPeers? Peers { get; init; }

    /// <summary>What of the trunk this process has.</summary>
    internal TrunkCut Trunk => TrunkParts == 1 ? TrunkCut.Whole : new TrunkCut(TrunkParts, Rank);

    /// <summary>The most tokens of a prompt in one pass; more would only cost memory.</summary>
    public int ChunkTokens { get; init; } = 512;
}

using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>Half a layer: it adds to a residual stream what it computes from one, and keeps what the backward pass needs.</summary>
internal interface IBlock : IDisposable
{
    /// <summary>What it computes from.</summary>
    BlockInput Input { get; }

    /// <summary>Its linear maps but the experts, each token's once.</summary>
    IEnumerable<Linear> Maps { get; }
}

using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>Half a layer: it adds to the residual stream what it computes from it. <see cref="Forward"/> keeps what <see cref="Backward"/> needs.</summary>
internal unsafe interface IBlock : IDisposable
{
    /// <summary>What it computes from.</summary>
    BlockInput Input { get; }

    /// <summary>Its linear maps but the experts, each token's once.</summary>
    IEnumerable<Linear> Maps { get; }

    /// <summary>h += f(h).</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="h">[tokens, hidden] f32.</param>
    void Forward(TrainingPass pass, float* h);

    /// <summary>dh += the gradient through f; those of its tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dh">[tokens, hidden] f32: the gradient of what <see cref="Forward"/> gave, and then of what it got.</param>
    void Backward(TrainingPass pass, float* dh);
}

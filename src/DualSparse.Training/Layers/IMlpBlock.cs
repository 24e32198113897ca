namespace DualSparse.Training.Layers;

/// <summary>The half layer behind attention: a dense MLP, or experts. Where two streams meet it, what is added at once and what comes later are two steps.</summary>
internal unsafe interface IMlpBlock : IBlock
{
    /// <summary>h += what every token computes; the rows of routed experts begin their way.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="h">[tokens, hidden] f32.</param>
    void Begin(TrainingPass pass, float* h);

    /// <summary>h += the routed experts' outputs.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="h">[tokens, hidden] f32.</param>
    void End(TrainingPass pass, float* h);

    /// <summary>dh += the gradient through both; those of its tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dRouted">[tokens, hidden] f32: the gradient of what <see cref="End"/> gave.</param>
    /// <param name="dh">[tokens, hidden] f32: the gradient of what <see cref="Begin"/> gave, and then of what it got.</param>
    void Backward(TrainingPass pass, float* dRouted, float* dh);
}

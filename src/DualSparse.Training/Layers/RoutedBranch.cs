using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>Rows on their way through a layer's router and routed experts, and what of it the backward pass needs. A layer may send two sets of rows (DGMoE).</summary>
/// <param name="config">The rule.</param>
/// <param name="router">The layer's.</param>
/// <param name="rows">The layer's experts, and how rows get to them.</param>
internal sealed unsafe class RoutedBranch(MoeConfig config, Linear router, ExpertRows rows) : IDisposable
{
    private readonly ScratchBuffer probabilities = new(), logSums = new();

    /// <summary>The rows' experts.</summary>
    public RoutingPlan Plan { get; } = new();

    /// <summary>[experts] the gradient of every token's router probabilities through the balance loss; set before <see cref="EndBackward"/>.</summary>
    public float[] Balance { get; set; } = [];

    /// <summary>The gradient of each token's squared log-sum; set before <see cref="EndBackward"/>.</summary>
    public float RouterZ { get; set; }

    /// <summary>Chooses the rows' experts, and begins their way there.</summary>
    /// <param name="pass">The pass; receives the router's totals.</param>
    /// <param name="n">[tokens, hidden] f32, kept by the caller until the backward pass.</param>
    /// <param name="avoid">Whose first expert each token doesn't take again; null: any.</param>
    public void Begin(TrainingPass pass, float* n, RoutingPlan? avoid)
    {
        int tokens = pass.Tokens;
        float* logits = probabilities.Floats((nint)tokens * config.Experts);
        router.Forward(pass.Work, n, tokens, logits);
        pass.Routers.Add(RouterOp.Forward(pass.Work.Team, config, logits, tokens, Plan, logSums.Floats(tokens), avoid));
        rows.Begin(pass, Plan, n);
    }

    /// <summary>Whether rows go to other ranks.</summary>
    public bool Travels => rows.Travels;

    /// <summary>The experts compute.</summary>
    public void Compute(TrainingPass pass) => rows.Compute(pass);

    /// <summary>y += the experts' outputs.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="y">[tokens, hidden] f32.</param>
    public void End(TrainingPass pass, float* y) => rows.End(pass, y);

    /// <summary>The gradient begins its way.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dy">[tokens, hidden] f32, as it is until <see cref="EndBackward"/>.</param>
    public void BeginBackward(TrainingPass pass, float* dy) => rows.BeginBackward(pass, dy);

    /// <summary>The experts compute their gradients.</summary>
    public void ComputeBackward(TrainingPass pass) => rows.ComputeBackward(pass);

    /// <summary>dn += the gradient through experts and router; those of the router's tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="n">[tokens, hidden] f32, as in <see cref="Begin"/>.</param>
    /// <param name="dn">[tokens, hidden] f32.</param>
    public void EndBackward(TrainingPass pass, float* n, float* dn)
    {
        int tokens = pass.Tokens;
        float* dWeights = pass.PairWeights.Floats((nint)tokens * config.TopK), dLogits = probabilities.Current;
        rows.EndBackward(pass, dn, dWeights);
        RouterOp.Backward(pass.Work.Team, config, Plan, dLogits, logSums.Current, dWeights, Balance, RouterZ, dLogits);
        router.BackwardWeight(pass.Work, dLogits, n, tokens);
        router.BackwardInput(pass.Work, dLogits, tokens, dn, add: true);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { rows, probabilities, logSums })
            one.Dispose();
    }
}

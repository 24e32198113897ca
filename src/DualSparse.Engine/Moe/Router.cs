using DualSparse.Kernels.Gemm;
using DualSparse.Models;

namespace DualSparse.Engine.Moe;

/// <summary>Chooses each token's experts and weighs them; scores are computed in f32 from the checkpoint's own weights.</summary>
/// <param name="config">Experts, top-k, scoring rule.</param>
/// <param name="gate">[experts, D] in f32.</param>
internal sealed unsafe class Router(MoeConfig config, Linear gate) : IDisposable
{
    /// <summary>The rule.</summary>
    public MoeConfig Config => config;

    /// <summary>E, routed experts.</summary>
    public int Experts => config.Experts;

    /// <summary>Routes a batch on all threads.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="x">[tokens, D] f32, normalised.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="logits">[tokens, experts] f32, scratch.</param>
    /// <param name="plan">Receives experts, weights and normalised scores; every pair is full.</param>
    /// <param name="avoid">Whose first expert each token doesn't take again; null: any.</param>
    public void Route(Workspace work, float* x, int tokens, float* logits, RoutingPlan plan, RoutingPlan? avoid = null)
    {
        plan.Reset(tokens, config.TopK);
        gate.Forward(work, x, tokens, logits);
        RouterRule.Choose(work.Team, config, logits, plan, avoid);
    }

    /// <summary>The same weights under another rule, which stay this router's.</summary>
    public Router With(MoeConfig other) => new(other, gate);

    /// <summary>Frees the weights.</summary>
    public void Dispose() => gate.Dispose();
}

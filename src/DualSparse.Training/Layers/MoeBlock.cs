using System.Runtime.InteropServices;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>h += shared expert(norm(h)) + routed experts(norm(h)).</summary>
internal sealed unsafe class MoeBlock : IBlock
{
    private readonly int hidden;
    private readonly MoeConfig config;
    private readonly Norm norm;
    private readonly Linear router;
    private readonly Linear? sharedGate;
    private readonly GatedMlp? shared;
    private readonly RoutedExperts experts;
    private readonly RoutingPlan plan = new();
    private readonly ScratchBuffer x = new(), normalised = new(), probabilities = new(), logSums = new(), sharedOut = new(), gates = new();

    /// <summary>Takes a layer's tensors.</summary>
    /// <param name="work">In what products are computed; the router's in f32.</param>
    /// <param name="set">The tensors.</param>
    /// <param name="model">The model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="parts">Which experts this process has.</param>
    public MoeBlock(TrainingWork work, ParameterSet set, ModelConfig model, int layer, TrainingParts parts)
    {
        var tensors = model.Tensors.Layer(layer);
        (hidden, config) = (model.HiddenSize, model.Moe!);
        norm = new Norm(set, set.Find(tensors.PostAttentionNorm));
        router = new Linear(work.Exact, set, set.Find(tensors.Router!));
        sharedGate = tensors.SharedGate is { } gate ? new Linear(work.Exact, set, set.Find(gate)) : null;
        shared = tensors.SharedExpert is { } mlp ? new GatedMlp(work.Arithmetic, set, mlp) : null;
        experts = new RoutedExperts(work, set, model, layer, parts);
    }

    /// <inheritdoc/>
    public IEnumerable<Linear> Maps => [router, .. sharedGate is null ? [] : new[] { sharedGate }, .. shared?.Maps ?? []];

    /// <summary>The routed experts.</summary>
    public RoutedExperts Experts => experts;

    /// <summary>[experts] the gradient of every token's router probabilities through the balance loss; set before <see cref="Backward"/>.</summary>
    public float[] Balance { get; set; } = [];

    /// <summary>The gradient of each token's squared log-sum; set before <see cref="Backward"/>.</summary>
    public float RouterZ { get; set; }

    /// <inheritdoc/>
    public void Forward(TrainingPass pass, float* h)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* from = x.Floats(size), n = normalised.Floats(size);
        NativeMemory.Copy(h, from, (nuint)size * sizeof(float));
        norm.Forward(pass, from, 1, n);
        Route(pass, n);
        experts.Begin(pass, plan, n);
        if (shared is not null && sharedGate is null)
            shared.Forward(pass, n, h, add: true);
        else if (shared is not null)
            ForwardGated(pass, n, h);
        experts.Compute(pass);
        experts.End(pass, h);
    }

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dh)
    {
        var work = pass.Work;
        int tokens = pass.Tokens;
        nint size = (nint)tokens * hidden;
        float* n = normalised.Current, dn = pass.Normalised.Floats(size), dWeights = pass.PairWeights.Floats((nint)tokens * config.TopK);
        new Span<float>(dn, checked((int)size)).Clear();
        experts.BeginBackward(pass, dh);
        experts.ComputeBackward(pass);
        experts.EndBackward(pass, dn, dWeights);
        float* dLogits = probabilities.Current;
        RouterOp.Backward(work.Team, config, plan, dLogits, logSums.Current, dWeights, Balance, RouterZ, dLogits);
        router.BackwardWeight(work, dLogits, n, tokens);
        router.BackwardInput(work, dLogits, tokens, dn, add: true);
        if (shared is not null && sharedGate is null)
            shared.Backward(pass, n, dh, dn, add: true);
        else if (shared is not null)
            BackwardGated(pass, n, dh, dn);
        norm.Backward(pass, dn, x.Current, 1, dh, add: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in new IDisposable?[] { norm, router, sharedGate, shared, experts, x, normalised, probabilities, logSums, sharedOut, gates })
            one?.Dispose();
    }

    private void Route(TrainingPass pass, float* n)
    {
        int tokens = pass.Tokens;
        float* logits = probabilities.Floats((nint)tokens * config.Experts);
        router.Forward(pass.Work, n, tokens, logits);
        pass.Routers.Add(RouterOp.Forward(pass.Work.Team, config, logits, tokens, plan, logSums.Floats(tokens)));
    }

    // h += σ(g·n) · shared(n).
    private void ForwardGated(TrainingPass pass, float* n, float* h)
    {
        float* s = sharedOut.Floats((nint)pass.Tokens * hidden), g = gates.Floats(pass.Tokens);
        shared!.Forward(pass, n, s, add: false);
        sharedGate!.Forward(pass.Work, n, pass.Tokens, g);
        SigmoidGate.Forward(pass.Work.Team, g, s, pass.Tokens, hidden, g, h);
    }

    private void BackwardGated(TrainingPass pass, float* n, float* dh, float* dn)
    {
        float* s = sharedOut.Current, g = gates.Current;
        SigmoidGate.Backward(pass.Work.Team, dh, s, g, pass.Tokens, hidden, s, g);
        sharedGate!.BackwardWeight(pass.Work, g, n, pass.Tokens);
        sharedGate.BackwardInput(pass.Work, g, pass.Tokens, dn, add: true);
        shared!.Backward(pass, n, s, dn, add: true);
    }
}

using System.Runtime.InteropServices;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;
using OperatorKind = DualSparse.Engine.OperatorKind;

namespace DualSparse.Training.Layers;

/// <summary>
/// h += shared expert(n) + routed experts(m), weighed where there is a gate: n = norm(h), and m too, unless a shortcut has the routed experts read what
/// an earlier block did. DGMoE has both rows visit them.
/// </summary>
internal sealed unsafe class MoeBlock : IMlpBlock
{
    private readonly int hidden, layer;
    private readonly MoeConfig config;
    private readonly BlockInput? shortcut;
    private readonly Linear router;
    private readonly Linear? gate;
    private readonly GatedMlp? shared;
    private readonly Experts experts;
    private readonly RoutedBranch[] branches;
    private readonly ScratchBuffer sharedOut = new(), routedOut = new(), gates = new(), sharedGates = new(), routedGates = new();
    private bool computed, isEnded;

    /// <summary>Takes a layer's tensors.</summary>
    /// <param name="work">In what products are computed; the router's in f32.</param>
    /// <param name="set">The tensors.</param>
    /// <param name="model">The model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="shortcut">What the routed experts read; null: what this block reads.</param>
    /// <param name="parts">Which experts this process has.</param>
    public MoeBlock(TrainingWork work, ParameterSet set, ModelConfig model, int layer, BlockInput? shortcut, TrainingParts parts)
    {
        var tensors = model.Tensors.Layer(layer);
        (hidden, config, this.shortcut) = (model.HiddenSize, model.Moe!, shortcut);
        Input = new BlockInput(set, set.Find(tensors.PostAttentionNorm));
        router = new Linear(work.Exact, set, set.Find(tensors.Router!));
        gate = tensors.CombineGate is { } weighs ? new Linear(work.Exact, set, set.Find(weighs)) : null;
        shared = tensors.SharedExpert is { } mlp ? new GatedMlp(work.Arithmetic, set, mlp) : null;
        experts = new Experts(work.Arithmetic, set, tensors, config, hidden, parts);
        this.layer = layer;
        if (shortcut is not null)
        {
            shortcut.Made = pass => Send(pass, shortcut.Rows);
            shortcut.Leaving = EndShortcut;
        }

        branches = [.. Enumerable.Range(0, config.Dual ? 2 : 1).Select(b => new RoutedBranch(config, router, new ExpertRows(experts, config.Experts, hidden, new ExpertLane(layer, b), parts)))];
    }

    /// <inheritdoc/>
    public BlockInput Input { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> Maps => [router, .. gate is null ? [] : new[] { gate }, .. shared?.Maps ?? []];

    /// <summary>The routed experts.</summary>
    public Experts Experts => experts;

    /// <summary>The rows that they take, in the order in which their routers' totals are added to the pass.</summary>
    public IReadOnlyList<RoutedBranch> Branches => branches;

    /// <summary>Behind what the experts compute in the forward pass: dispatch, the shared expert, or another block, which then calls <see cref="Compute"/>.</summary>
    public OperatorKind ForwardPlace { get; set; } = OperatorKind.Shared;

    /// <summary>The same in the backward pass; at last where the block whose input they read needs their gradient.</summary>
    public OperatorKind BackwardPlace { get; set; } = OperatorKind.Shared;

    private bool WeighsBoth => config.Combine == CombineGate.Both;

    /// <inheritdoc/>
    public void Forward(TrainingPass pass, float* h)
    {
        float* n = Input.Forward(pass, h);
        if (shortcut is null)
            Send(pass, n);
        if (config.Dual)
            branches[1].Begin(pass, n, branches[0].Plan);
        if (ForwardPlace != OperatorKind.Shared)
            Compute(pass);
        ForwardShared(pass, n, h);
        Compute(pass);
        if (config.Dual)
            branches[1].Compute(pass);
        computed = false;
        float* y = WeighsBoth ? Zeros(pass, routedOut) : h;
        foreach (var branch in branches)
            branch.End(pass, y);
        if (WeighsBoth)
            SigmoidGate.Forward(pass.Work.Team, routedGates.Current, y, pass.Tokens, hidden, routedGates.Current, h);
    }

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dh)
    {
        float* n = Input.Rows, dn = Zeros(pass, pass.Normalised), dy = dh;
        if (WeighsBoth)
            SigmoidGate.Backward(pass.Work.Team, dh, routedOut.Current, routedGates.Current, pass.Tokens, hidden, dy = routedOut.Current, routedGates.Current);
        pass.Measure(new(OperatorKind.BeginExperts, layer), () =>
        {
            foreach (var branch in branches)
                branch.BeginBackward(pass, dy);
        });
        // An expert's gradients add up in one order, the second routing's first.
        if (config.Dual)
            branches[1].ComputeBackward(pass);
        if (BackwardPlace == OperatorKind.BeginExperts)
            ComputeBackward(pass);
        BackwardShared(pass, n, dh, dn);
        if (BackwardPlace == OperatorKind.Shared || shortcut is null)
            ComputeBackward(pass);
        if (config.Dual)
            branches[1].EndBackward(pass, n, dn);
        if (shortcut is null)
        {
            branches[0].EndBackward(pass, n, dn);
            computed = false;
        }
        else if (!branches[0].Travels)
        {
            // What they read of the gradient changes from here on.
            EndShortcut(pass);
        }

        Input.Backward(pass, dn, dh);
    }

    /// <inheritdoc/>
    public void Begin(TrainingPass pass, float* h)
    {
        float* n = Input.Forward(pass, h);
        Send(pass, n);
        ForwardShared(pass, n, h);
    }

    /// <inheritdoc/>
    public void End(TrainingPass pass, float* h)
    {
        Compute(pass);
        computed = false;
        branches[0].End(pass, h);
    }

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dRouted, float* dh)
    {
        float* n = Input.Rows, dn = Zeros(pass, pass.Normalised);
        branches[0].BeginBackward(pass, dRouted);
        BackwardShared(pass, n, dh, dn);
        ComputeBackward(pass);
        computed = false;
        branches[0].EndBackward(pass, n, dn);
        Input.Backward(pass, dn, dh);
    }

    /// <summary>The experts compute the rows that have come; nothing where they have.</summary>
    public void Compute(TrainingPass pass)
    {
        if (computed)
            return;
        computed = true;
        pass.Measure(new(OperatorKind.Experts, layer), () => branches[0].Compute(pass));
    }

    /// <summary>The experts compute the gradients that have come; nothing where they have.</summary>
    public void ComputeBackward(TrainingPass pass)
    {
        if (computed)
            return;
        computed = true;
        pass.Measure(new(OperatorKind.Experts, layer), () => branches[0].ComputeBackward(pass));
    }

    private void Send(TrainingPass pass, float* rows)
    {
        pass.Measure(new(OperatorKind.BeginExperts, layer), () => branches[0].Begin(pass, rows, avoid: null));
        if (ForwardPlace == OperatorKind.BeginExperts)
            Compute(pass);
    }

    // The gradient of what another block has made; of one process it was there at once.
    private void EndShortcut(TrainingPass pass)
    {
        if (isEnded)
        {
            isEnded = false;
            return;
        }

        ComputeBackward(pass);
        pass.Measure(new(OperatorKind.EndExperts, layer), () => branches[0].EndBackward(pass, shortcut!.Rows, shortcut.LaterGradient(pass)));
        isEnded = !branches[0].Travels;
        computed = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in (IDisposable?[])[Input, router, gate, shared, experts, .. branches, sharedOut, routedOut, gates, sharedGates, routedGates])
            one?.Dispose();
    }

    private void ForwardShared(TrainingPass pass, float* n, float* h) => pass.Measure(new(OperatorKind.Shared, layer), () =>
    {
        if (shared is not null && gate is null)
            shared.Forward(pass, n, h, add: true);
        else if (shared is not null)
            ForwardGated(pass, n, h);
    });

    private void BackwardShared(TrainingPass pass, float* n, float* dh, float* dn) => pass.Measure(new(OperatorKind.Shared, layer), () =>
    {
        if (shared is not null && gate is null)
            shared.Backward(pass, n, dh, dn, add: true);
        else if (shared is not null)
            BackwardGated(pass, n, dh, dn);
    });

    private float* Zeros(TrainingPass pass, ScratchBuffer buffer)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* rows = buffer.Floats(size);
        NativeMemory.Clear(rows, (nuint)size * sizeof(float));
        return rows;
    }

    // h += σ(l)·shared(n). Of two logits a softmax weighs shared and routed experts: σ(l₀ − l₁) and σ(l₁ − l₀).
    private void ForwardGated(TrainingPass pass, float* n, float* h)
    {
        int tokens = pass.Tokens;
        float* s = sharedOut.Floats((nint)tokens * hidden), g = sharedGates.Floats(tokens), l = WeighsBoth ? gates.Floats(2 * tokens) : g;
        shared!.Forward(pass, n, s, add: false);
        gate!.Forward(pass.Work, n, tokens, l);
        float* r = WeighsBoth ? routedGates.Floats(tokens) : null;
        for (int t = 0; WeighsBoth && t < tokens; t++)
            r[t] = -(g[t] = l[2 * t] - l[2 * t + 1]);
        SigmoidGate.Forward(pass.Work.Team, g, s, tokens, hidden, g, h);
    }

    // Behind the routed experts' backward pass, which leaves the gradient of their logit.
    private void BackwardGated(TrainingPass pass, float* n, float* dh, float* dn)
    {
        int tokens = pass.Tokens;
        float* s = sharedOut.Current, g = sharedGates.Current, l = WeighsBoth ? gates.Current : g, r = WeighsBoth ? routedGates.Current : null;
        SigmoidGate.Backward(pass.Work.Team, dh, s, g, tokens, hidden, s, g);
        for (int t = 0; WeighsBoth && t < tokens; t++)
            l[2 * t + 1] = -(l[2 * t] = g[t] - r[t]);
        gate!.BackwardWeight(pass.Work, l, n, tokens);
        gate.BackwardInput(pass.Work, l, tokens, dn, add: true);
        shared!.Backward(pass, n, s, dn, add: true);
    }
}

using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>
/// THE mixture-of-experts layer: route, decide, gather, multiply, add; and shared experts. It has weights only: state belongs to the
/// <see cref="Pass"/>. Its steps are operators of the <see cref="LayerProgram"/>.
/// </summary>
/// <param name="router">Chooses experts.</param>
/// <param name="experts">The routed experts that this process has.</param>
/// <param name="shared">The shared experts, or null.</param>
/// <param name="sharedGate">[1, D]: the shared output is multiplied with σ(g·x); null adds it as it is.</param>
/// <param name="placement">Which rank has which expert; null: one has all.</param>
/// <param name="exchange">How rows reach the ranks; null: all are this process.</param>
internal sealed unsafe class MoeLayer(Router router, PackedExperts experts, DenseMlp? shared = null, Linear? sharedGate = null, ExpertPlacement? placement = null, IExchange? exchange = null) : IDisposable
{
    private readonly IExchange exchange = exchange ?? LocalExchange.Instance;
    private readonly ExpertPlacement placement = placement is null ? ExpertPlacement.SingleRank(experts.Count)
        : placement.Experts == router.Experts ? placement
        : throw new ArgumentException($"the placement has {placement.Experts} experts, expected the layer's {router.Experts}");

    // Of a whole expert: those here may be parts.
    private readonly NeuronLayout neurons = new(experts.Neurons.Neurons * (placement?.Parts ?? 1));

    /// <summary>The routed experts.</summary>
    public PackedExperts Experts => experts;

    /// <summary>Routes rows, decides what is computed of each pair, and sends them to their experts.</summary>
    /// <param name="pass">The rows' sequences; receives the layer's ticket.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    public void Begin(Pass pass, int layer, float* x)
    {
        var ticket = pass.Tickets.Open(layer);
        router.Route(pass.Work, x, pass.Rows, pass.Memory.RouterLogits.Floats((nint)pass.Rows * router.Experts), ticket.Routing);
        Dispatch(pass, layer, ticket, x);
    }

    /// <summary>The same for rows that are routed already.</summary>
    public void Dispatch(Pass pass, int layer, ExpertTicket ticket, float* x)
    {
        foreach (var segment in pass.Segments)
        {
            if (segment.Drop is not { } text)
                continue;
            var plan = text.Plan;
            DropPolicy.Apply(ticket.Routing, segment.First, segment.Count, plan.Rule(layer, segment.Generated), plan.AdaptiveRule(layer, segment.Generated), text.Thresholds);
        }

        pass.Watch?.Routed?.Invoke(layer, ticket.Routing);
        exchange.BeginDispatch(pass, layer, ticket, experts, placement, x);
        if (pass.Watch?.Neurons?.Invoke(layer, ticket.Routing) is { } observer)
            NeuronProbe.Run(pass, experts, ticket, x, observer);
    }

    /// <summary>Computes the rows that were sent.</summary>
    public void Compute(Pass pass, int layer)
    {
        var ticket = pass.Tickets.Of(layer);
        foreach (var (batch, rows, count, sums) in exchange.Receive(pass, layer, ticket, experts))
            GroupedGemm.Forward(pass.Work, experts, batch, rows, count, sums.Floats((nint)count * experts.Hidden), add: false);
    }

    /// <summary>Adds the routed experts' outputs and the mean compensation, and closes the ticket.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    public void End(Pass pass, int layer, float* y)
    {
        var ticket = pass.Tickets.Of(layer);
        exchange.EndCombine(pass, layer, ticket, experts.Hidden, y);
        for (int s = 0; s < pass.Segments.Length; s++)
        {
            var segment = pass.Segments[s];
            if (segment.Drop is not { } text)
                continue;
            text.Plan.Means(layer, segment.Generated)?.Add(pass.Work.Team, ticket.Routing, segment.First, segment.Count, y);
            pass.Count(layer, s, DropCounts.Of(ticket.Routing, segment.First, segment.Count, neurons));
        }

        pass.Tickets.Close(layer);
    }

    /// <summary>Adds the shared experts' output.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    public void Shared(Pass pass, float* x, float* y)
    {
        int rows = pass.Rows;
        ReadOnlySpan<float> weights = default;
        if (sharedGate is not null)
        {
            float* gates = pass.Memory.SharedGate.Floats(rows);
            sharedGate.Forward(pass.Work, x, rows, gates);
            for (int t = 0; t < rows; t++)
                gates[t] = 1 / (1 + MathF.Exp(-gates[t]));
            weights = new ReadOnlySpan<float>(gates, rows);
        }

        shared!.Forward(pass, x, y, weights);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        router.Dispose();
        experts.Dispose();
        shared?.Dispose();
        sharedGate?.Dispose();
    }
}

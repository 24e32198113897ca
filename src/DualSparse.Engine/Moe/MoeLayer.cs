using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Models;

namespace DualSparse.Engine.Moe;

/// <summary>
/// THE mixture-of-experts layer: route, decide, gather, multiply, add; and shared experts. It has weights only: state belongs to the
/// <see cref="Pass"/>. Its steps are operators of the <see cref="LayerProgram"/>.
/// </summary>
/// <param name="router">Chooses experts.</param>
/// <param name="experts">The routed experts that this process has.</param>
/// <param name="shared">The shared experts, or null.</param>
/// <param name="gate">What weighs shared and routed outputs, as the configuration says; null: nothing does.</param>
/// <param name="placement">Which rank has which expert; null: one has all.</param>
/// <param name="exchange">How rows reach the ranks; null: all are this process.</param>
/// <param name="balance">How loads are balanced between ranks; null: they aren't.</param>
internal sealed unsafe class MoeLayer(Router router, PackedExperts experts, DenseMlp? shared = null, Linear? gate = null, ExpertPlacement? placement = null, IExchange? exchange = null, BalanceSetting? balance = null) : IDisposable
{
    // Rows that one thread weighs at a time: a few microseconds.
    private const int RowsPerItem = 4;

    private readonly IExchange exchange = exchange ?? LocalExchange.Instance;
    private readonly ExpertPlacement placement = placement is null ? ExpertPlacement.SingleRank(experts.Count)
        : placement.Experts == router.Experts ? placement
        : throw new ArgumentException($"the placement has {placement.Experts} experts, expected the layer's {router.Experts}");

    // Of a whole expert: those here may be parts.
    private readonly NeuronLayout neurons = new(experts.Neurons.Neurons * (placement?.Parts ?? 1));

    private readonly LayerBalance? balance = balance is null ? null : new LayerBalance(balance, placement ?? ExpertPlacement.SingleRank(experts.Count), experts, router.Config.TopK);

    /// <summary>The routed experts.</summary>
    public PackedExperts Experts => experts;

    /// <summary>The same weights under another rule, which stay this layer's.</summary>
    public MoeLayer With(MoeConfig other) => new(router.With(other), experts, shared, gate, placement, exchange, balance?.Setting);

    /// <summary>The shared experts; null: none.</summary>
    public DenseMlp? SharedExperts => shared;

    /// <summary>Routes rows, decides what is computed of each pair, and sends them to their experts.</summary>
    /// <param name="pass">The rows' sequences; receives the layer's ticket.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="branch">1: the rows' second routing, by other experts than the first, which is open; else 0.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    public void Begin(Pass pass, int layer, int branch, float* x)
    {
        var first = branch == 0 ? null : pass.Tickets.Of(layer).Routing;
        var ticket = pass.Tickets.Open(layer, branch);
        router.Route(pass.Work, x, pass.Rows, pass.Memory.RouterLogits.Floats((nint)pass.Rows * router.Experts), ticket.Routing, first);
        Dispatch(pass, layer, ticket, x);
    }

    /// <summary>The same for rows that are routed already.</summary>
    public void Dispatch(Pass pass, int layer, ExpertTicket ticket, float* x)
    {
        var memo = router.Config.Dual ? pass.Tickets.Of(layer).Thresholds : null;
        var replayed = ticket.Lane.Branch > 0 ? memo!.Replayed() : null;
        if (replayed is null)
            memo?.Clear();
        ticket.SwitchNone();
        var balancing = pass.IsBalanced ? balance : null;
        balancing?.Begin(ticket);
        foreach (var segment in pass.Segments)
        {
            if (segment.Drop is not { } text)
                continue;
            var plan = text.Plan;
            var thresholds = replayed ?? memo?.Recording(text.Thresholds) ?? text.Thresholds;
            DropPolicy.Apply(ticket.Routing, segment.First, segment.Count, plan.Rule(layer, segment.Generated), plan.AdaptiveRule(layer, segment.Generated), thresholds, balancing is null ? null : ticket.Levels);
        }

        balancing?.Decide(pass, ticket, exchange);
        pass.Watch?.Routed?.Invoke(layer, ticket.Routing);
        exchange.BeginDispatch(pass, layer, ticket, experts, placement, x);
        if (pass.Watch?.Neurons?.Invoke(layer, ticket.Routing) is { } observer)
            NeuronProbe.Run(pass, experts, ticket, x, observer);
    }

    /// <summary>Computes the rows that were sent.</summary>
    public void Compute(Pass pass, int layer, int branch = 0)
    {
        var ticket = pass.Tickets.Of(layer, branch);
        foreach (var (batch, rows, count, own, sums, goesOn) in exchange.Receive(pass, layer, ticket, experts))
        {
            long began = pass.Clock is null ? 0 : Stopwatch.GetTimestamp();
            var rounding = ReferenceEquals(own, experts) ? null : ticket.Rounding;
            GroupedGemm.Forward(pass.Work, own, batch, rows, count, goesOn ? sums.Current : sums.Floats((nint)count * experts.Hidden), add: false, rounding, goesOn);
            if (pass.Clock is not null && (rows == ticket.Rows || rows == ticket.LowRows))
                ticket.Travel = ticket.Travel with { OwnTicks = ticket.Travel.OwnTicks + Stopwatch.GetTimestamp() - began };
        }
    }

    /// <summary>Adds the routed experts' outputs and the mean compensation, and closes the ticket.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    /// <param name="branch">As in <see cref="Begin"/>.</param>
    public void End(Pass pass, int layer, float* y, int branch = 0)
    {
        if (router.Config.Combine != CombineGate.Both || pass.Rows == 0)
        {
            Combine(pass, layer, branch, y);
            return;
        }

        nint size = (nint)pass.Rows * pass.Hidden;
        float* routed = pass.Memory.RoutedOutput.Floats(size), weights = pass.Memory.RoutedWeights.Current;
        NativeMemory.Clear(routed, (nuint)size * sizeof(float));
        Combine(pass, layer, branch, routed);
        pass.Work.Team.For((pass.Rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int t = item * RowsPerItem; t < Math.Min(pass.Rows, (item + 1) * RowsPerItem); t++)
            {
                var sum = new Span<float>(y + (nint)t * pass.Hidden, pass.Hidden);
                TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(routed + (nint)t * pass.Hidden, pass.Hidden), weights[t], sum, sum);
            }
        });
    }

    /// <summary>Adds the shared experts' output, and weighs the routed ones' where a gate does both.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">[rows, D] f32, normalised.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    public void Shared(Pass pass, float* x, float* y)
    {
        int rows = pass.Rows;
        ReadOnlySpan<float> weights = default;
        if (gate is not null)
        {
            bool both = router.Config.Combine == CombineGate.Both;
            float* logits = pass.Memory.CombineGate.Floats((nint)rows * (both ? 2 : 1)), own = pass.Memory.SharedWeights.Floats(rows);
            gate.Forward(pass.Work, x, rows, logits);
            float* routed = both ? pass.Memory.RoutedWeights.Floats(rows) : null;
            for (int t = 0; t < rows; t++)
            {
                // A softmax of two is σ of their difference.
                float logit = both ? logits[2 * t] - logits[2 * t + 1] : logits[t];
                own[t] = 1 / (1 + MathF.Exp(-logit));
                if (both)
                    routed[t] = 1 / (1 + MathF.Exp(logit));
            }

            weights = new ReadOnlySpan<float>(own, rows);
        }

        shared!.Forward(pass, x, y, weights);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        router.Dispose();
        experts.Dispose();
        shared?.Dispose();
        gate?.Dispose();
    }

    private void Combine(Pass pass, int layer, int branch, float* y)
    {
        var ticket = pass.Tickets.Of(layer, branch);
        exchange.EndCombine(pass, layer, ticket, experts.Hidden, y);
        for (int s = 0; s < pass.Segments.Length; s++)
        {
            var segment = pass.Segments[s];
            if (segment.Drop is not { } text)
                continue;
            text.Plan.Means(layer, segment.Generated)?.Add(pass.Work.Team, ticket.Routing, segment.First, segment.Count, y);
            pass.Count(layer, s, DropCounts.Of(ticket.Routing, segment.First, segment.Count, neurons));
        }

        pass.Clock?.Travelled(ticket.Travel);
        pass.Tickets.Close(layer, branch);
    }
}

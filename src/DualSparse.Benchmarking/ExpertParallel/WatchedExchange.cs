using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>Another exchange, whose chunks of rows are seen: while one is being computed the experts run.</summary>
internal sealed unsafe class WatchedExchange(IExchange inner, LaneClock clock) : IExchange
{
    /// <summary>What telling each other loads took in the last layer.</summary>
    public double LoadSeconds { get; private set; }

    /// <inheritdoc/>
    public void ShareLoads(Pass pass, ExpertTicket ticket, LoadTable loads)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ShareLoads(pass, ticket, loads);
        LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <inheritdoc/>
    public void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x) =>
        inner.BeginDispatch(pass, layer, ticket, experts, placement, x);

    /// <inheritdoc/>
    public IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts)
    {
        foreach (var share in inner.Receive(pass, layer, ticket, experts))
        {
            clock.Switch(LaneStep.Experts);
            yield return share;
            clock.Switch(LaneStep.Dispatch);
        }
    }

    /// <inheritdoc/>
    public void EndCombine(Pass pass, int layer, ExpertTicket ticket, int hidden, float* y) => inner.EndCombine(pass, layer, ticket, hidden, y);
}

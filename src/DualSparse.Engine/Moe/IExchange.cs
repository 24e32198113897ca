using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>
/// Moves rows between the router and the experts of all ranks, and their outputs back. Whatever ranks there are, the sums are added in the order of
/// ranks: with one placement every exchange gives the same bits.
/// </summary>
internal unsafe interface IExchange
{
    /// <summary>Adds what the other ranks' rows ask for, before any are sent: each has its own.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="ticket">The layer's.</param>
    /// <param name="loads">This process's; receives all.</param>
    void ShareLoads(Pass pass, ExpertTicket ticket, LoadTable loads);

    /// <summary>Sends rows to the experts of their routing; dropped pairs aren't sent.</summary>
    /// <param name="pass">Threads, kernels.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="ticket">Its routing is decided; receives rows and lists.</param>
    /// <param name="experts">The weights that this process has of the layer.</param>
    /// <param name="placement">The rank of each expert.</param>
    /// <param name="x">[rows, D] f32, dense.</param>
    void BeginDispatch(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts, ExpertPlacement placement, float* x);

    /// <summary>What this process computes, one after another, each when its rows have come; the sums of one are sent when the next is asked for.</summary>
    /// <param name="pass">Kernels.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="ticket">Dispatched.</param>
    /// <param name="experts">The weights that this process has of the layer.</param>
    IEnumerable<ExpertShare> Receive(Pass pass, int layer, ExpertTicket ticket, PackedExperts experts);

    /// <summary>Adds the ranks' sums to y, in the order of ranks.</summary>
    /// <param name="pass">Threads.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="ticket">Its own shares are computed.</param>
    /// <param name="hidden">D.</param>
    /// <param name="y">[rows, D] f32, added to.</param>
    void EndCombine(Pass pass, int layer, ExpertTicket ticket, int hidden, float* y);
}

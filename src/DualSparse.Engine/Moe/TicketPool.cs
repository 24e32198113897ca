using DualSparse.Engine.Moe.Overlap;

namespace DualSparse.Engine.Moe;

/// <summary>Rows on their way: a layer's, or of a layer that routes tokens twice those of one routing.</summary>
/// <param name="Layer">The layer's index.</param>
/// <param name="Branch">0, or 1 for the second routing.</param>
internal readonly record struct ExpertLane(int Layer, int Branch = 0);

/// <summary>The open tickets of a pass, by layer and routing, and free ones for the next.</summary>
internal sealed class TicketPool : IDisposable
{
    private readonly Dictionary<ExpertLane, ExpertTicket> open = [];
    private readonly Stack<ExpertTicket> free = new();

    /// <summary>Opens a layer's ticket.</summary>
    /// <exception cref="InvalidOperationException">The layer has an open ticket.</exception>
    public ExpertTicket Open(int layer, int branch = 0)
    {
        var lane = new ExpertLane(layer, branch);
        if (open.ContainsKey(lane))
            throw new InvalidOperationException($"layer {layer}'s experts have begun twice");
        var ticket = open[lane] = free.TryPop(out var used) ? used : new ExpertTicket();
        (ticket.Lane, ticket.Travel) = (lane, new TravelTimes { Lane = lane });
        return ticket;
    }

    /// <summary>A layer's open ticket.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public ExpertTicket Of(int layer, int branch = 0) => open.TryGetValue(new ExpertLane(layer, branch), out var ticket) ? ticket : throw new InvalidOperationException($"layer {layer}'s experts have not begun");

    /// <summary>Closes a layer's ticket, whose memory is reused.</summary>
    public void Close(int layer, int branch = 0)
    {
        if (open.Remove(new ExpertLane(layer, branch), out var ticket))
            free.Push(ticket);
    }

    /// <summary>Closes the tickets that a failed pass left open.</summary>
    public void CloseAll()
    {
        foreach (var lane in open.Keys.ToArray())
            Close(lane.Layer, lane.Branch);
    }

    /// <summary>Frees all memory.</summary>
    public void Dispose()
    {
        CloseAll();
        while (free.TryPop(out var ticket))
            ticket.Dispose();
    }
}

namespace DualSparse.Engine.Moe;

/// <summary>The open tickets of a pass, by layer, and free ones for the next layer.</summary>
internal sealed class TicketPool : IDisposable
{
    private readonly Dictionary<int, ExpertTicket> open = [];
    private readonly Stack<ExpertTicket> free = new();

    /// <summary>Opens a layer's ticket.</summary>
    /// <exception cref="InvalidOperationException">The layer has an open ticket.</exception>
    public ExpertTicket Open(int layer)
    {
        if (open.ContainsKey(layer))
            throw new InvalidOperationException($"layer {layer}'s experts have begun twice");
        return open[layer] = free.TryPop(out var used) ? used : new ExpertTicket();
    }

    /// <summary>A layer's open ticket.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public ExpertTicket Of(int layer) => open.TryGetValue(layer, out var ticket) ? ticket : throw new InvalidOperationException($"layer {layer}'s experts have not begun");

    /// <summary>Closes a layer's ticket, whose memory is reused.</summary>
    public void Close(int layer)
    {
        if (open.Remove(layer, out var ticket))
            free.Push(ticket);
    }

    /// <summary>Closes the tickets that a failed pass left open.</summary>
    public void CloseAll()
    {
        foreach (int layer in open.Keys.ToArray())
            Close(layer);
    }

    /// <summary>Frees all memory.</summary>
    public void Dispose()
    {
        CloseAll();
        while (free.TryPop(out var ticket))
            ticket.Dispose();
    }
}

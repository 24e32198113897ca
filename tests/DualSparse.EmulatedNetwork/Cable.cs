namespace DualSparse.EmulatedNetwork;

/// <summary>A host's cable: what waits at its far end, and what it carried.</summary>
internal sealed class Cable(TapDevice device) : IDisposable
{
    private readonly PriorityQueue<(byte[] Frame, int Length), long> arriving = new();
    private int waiting;

    /// <summary>The host's device.</summary>
    public TapDevice Device => device;

    /// <summary>When it has taken everything from its host so far, and brought everything to it.</summary>
    public long UpFree { get; set; }

    /// <inheritdoc cref="UpFree"/>
    public long DownFree { get; set; }

    /// <summary>Bytes that it brought to its host, as on the cable.</summary>
    public long Bytes { get; private set; }

    /// <summary>Frames lost for want of room, or because the host didn't take them.</summary>
    public long Lost { get; private set; }

    /// <summary>When the next frame is due; null: none is on its way.</summary>
    public long? NextDue => arriving.TryPeek(out _, out long due) ? due : null;

    /// <summary>Takes a frame for the host, unless too much waits already.</summary>
    public bool Enqueue(byte[] frame, int length, int onCable, long due, int room)
    {
        if (waiting + length > room)
        {
            Lost++;
            return false;
        }

        arriving.Enqueue((frame, length), due);
        waiting += length;
        Bytes += onCable;
        return true;
    }

    /// <summary>Hands over the frames that are due.</summary>
    /// <param name="until">What is due by then.</param>
    /// <param name="free">Receives their memory.</param>
    /// <returns>Whether there were any.</returns>
    public bool Deliver(long until, Stack<byte[]> free)
    {
        bool any = false;
        while (arriving.TryPeek(out var head, out long due) && due <= until)
        {
            arriving.Dequeue();
            waiting -= head.Length;
            if (!device.Write(head.Frame.AsSpan(0, head.Length)))
                Lost++;
            free.Push(head.Frame);
            any = true;
        }

        return any;
    }

    /// <inheritdoc/>
    public void Dispose() => device.Dispose();
}

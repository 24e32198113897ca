using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>
/// A message whose length its receiver doesn't know: the first part has a fixed size and says how long the whole is; what doesn't fit follows.
/// So a short one is one message.
/// </summary>
internal sealed unsafe class RankLetter : IDisposable
{
    // A pass over some hundred tokens fits; sent whole, however little is in it.
    private const int FirstPart = 4 << 10;

    private readonly ScratchBuffer buffer = new();

    /// <summary>Sends bytes to all other ranks.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="tag">Of both parts.</param>
    /// <param name="bytes">What to send.</param>
    /// <param name="what">See <see cref="RankGroup.Wait"/>.</param>
    /// <exception cref="Mpi.PeerLostException">A rank takes nothing.</exception>
    public void SendToAll(RankGroup group, int tag, ReadOnlySpan<byte> bytes, string what)
    {
        int length = Math.Max(FirstPart, sizeof(int) + bytes.Length);
        byte* all = Reserve(length);
        *(int*)all = bytes.Length;
        bytes.CopyTo(new Span<byte>(all + sizeof(int), bytes.Length));
        List<RankMessage> sent = [];
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank == group.Rank)
                continue;
            sent.Add(group.Send(rank, tag, all, FirstPart));
            if (length > FirstPart)
                sent.Add(group.Send(rank, tag, all + FirstPart, length - FirstPart));
        }

        foreach (var message in sent)
        {
            group.Wait(message, what);
            message.Dispose();
        }
    }

    /// <summary>Receives a letter, however long it takes to come.</summary>
    /// <returns>Its bytes, valid until the next call.</returns>
    public ReadOnlySpan<byte> Receive(RankGroup group, int from, int tag)
    {
        byte* all = Reserve(FirstPart);
        using (var first = group.Receive(from, tag, all, FirstPart))
            group.Wait(first, what: null);
        int length = *(int*)all, rest = sizeof(int) + length - FirstPart;
        if (rest > 0)
        {
            byte[] kept = new ReadOnlySpan<byte>(all, FirstPart).ToArray();
            all = Reserve(FirstPart + rest);
            kept.CopyTo(new Span<byte>(all, FirstPart));
            using var second = group.Receive(from, tag, all + FirstPart, rest);
            group.Wait(second, "the rest of a message");
        }

        return new ReadOnlySpan<byte>(all + sizeof(int), length);
    }

    /// <inheritdoc/>
    public void Dispose() => buffer.Dispose();

    private byte* Reserve(int bytes) => (byte*)buffer.Floats((bytes + sizeof(float) - 1) / sizeof(float));
}

using DualSparse.Distributed;

namespace DualSparse.Training.Ranks;

/// <summary>Blocks of rows that every rank sends to every other at once; a rank's own are copied.</summary>
/// <param name="group">The ranks.</param>
internal sealed unsafe class BlockExchange(RankGroup group)
{
    private readonly List<RankMessage> messages = [];

    /// <summary>Begins: rank r gets the rows from <paramref name="fromFirst"/>[r] on, and its rows go where <paramref name="toFirst"/>[r] says.</summary>
    /// <param name="tag">Of the messages; two under way between the same ranks arrive in the order they were begun in.</param>
    /// <param name="from">Rows to send, which stay as they are until <see cref="End"/>.</param>
    /// <param name="fromFirst">[ranks + 1]: the rows for each rank.</param>
    /// <param name="to">Receives rows.</param>
    /// <param name="toFirst">[ranks + 1]: the rows from each rank.</param>
    /// <param name="rowBytes">Bytes of a row.</param>
    public void Begin(int tag, void* from, int[] fromFirst, void* to, int[] toFirst, int rowBytes)
    {
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank != group.Rank && toFirst[rank + 1] > toFirst[rank])
                messages.Add(group.Receive(rank, tag, (byte*)to + (nint)toFirst[rank] * rowBytes, checked((toFirst[rank + 1] - toFirst[rank]) * rowBytes)));
        }

        for (int rank = 0; rank < group.Size; rank++)
        {
            int count = fromFirst[rank + 1] - fromFirst[rank];
            byte* rows = (byte*)from + (nint)fromFirst[rank] * rowBytes;
            if (rank == group.Rank)
                Buffer.MemoryCopy(rows, (byte*)to + (nint)toFirst[rank] * rowBytes, (long)count * rowBytes, (long)count * rowBytes);
            else if (count > 0)
                messages.Add(group.Send(rank, tag, rows, checked(count * rowBytes)));
        }
    }

    /// <summary>Lets what is under way move on: MPI moves long messages only while it is asked.</summary>
    /// <returns>Whether all is done.</returns>
    public bool Progress()
    {
        bool all = true;
        foreach (var message in messages)
            all &= message.Done();
        return all;
    }

    /// <summary>Waits for all that was begun.</summary>
    /// <param name="what">See <see cref="RankGroup.Wait"/>.</param>
    /// <exception cref="Distributed.Mpi.PeerLostException">A rank was silent for too long.</exception>
    public void End(string what) => group.WaitAll(messages, what);
}

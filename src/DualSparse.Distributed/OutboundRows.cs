using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>A piece of a layer's rows on its way to a rank's experts, and its sums on their way back.</summary>
internal sealed unsafe class OutboundRows(RankGroup group, int rank) : IDisposable
{
    private readonly ShareMessage share = new();
    private readonly ScratchBuffer sums = new();
    private readonly List<RankMessage> messages = [];
    private RankMessage? back;

    /// <summary>When the sums were first seen to be here, in ticks of <see cref="Stopwatch"/>; 0: there are none.</summary>
    public long BackAt { get; private set; }

    /// <summary>Its rows by expert, where a rank's rows are several pieces.</summary>
    public ExpertBatch Part { get; } = new();

    /// <summary>Whether it has been begun to be sent.</summary>
    public bool IsSent { get; private set; }

    /// <summary>Makes ready to send, and to get the sums.</summary>
    /// <param name="lane">Whose rows they are.</param>
    /// <param name="batch">Its rows by expert.</param>
    /// <param name="encoded">The pass's rows.</param>
    /// <param name="rows">How many there are.</param>
    /// <param name="hidden">D.</param>
    public void Pack(ExpertLane lane, ExpertBatch batch, ActivationRows encoded, int rows, int hidden)
    {
        share.Pack(batch, encoded, rows, hidden);
        int bytes = checked(share.Header.Rows * hidden * sizeof(float));
        (back, BackAt) = (bytes > 0 ? group.Receive(rank, RankTag.Sums(lane), sums.Floats(bytes / sizeof(float)), bytes) : null, 0);
    }

    /// <summary>Sends the rows; without any, the rank learns that there are none.</summary>
    public void Send(ExpertLane lane)
    {
        int first = Math.Min(share.Header.Bytes, ShareMessage.FirstPart);
        IsSent = true;
        messages.Add(group.Send(rank, RankTag.Rows(lane), share.Bytes, first));
        if (share.Header.Bytes > first)
            messages.Add(group.Send(rank, RankTag.MoreRows(lane), share.Bytes + first, share.Header.Bytes - first));
    }

    /// <summary>Waits until the rows have left.</summary>
    public void Leave(ExpertLane lane) => group.WaitAll(messages, $"layer {lane.Layer}'s experts");

    /// <summary>Lets what is under way move on.</summary>
    /// <returns>Whether all rows have left.</returns>
    public bool Progress()
    {
        bool left = IsSent;
        foreach (var message in messages)
            left &= message.Done();
        if (back?.Done() == true && BackAt == 0)
            BackAt = Stopwatch.GetTimestamp();
        return left;
    }

    /// <summary>Waits for the sums.</summary>
    public void AwaitSums(ExpertLane lane)
    {
        if (back is null || BackAt > 0)
            return;
        group.Wait(back, $"layer {lane.Layer}'s experts");
        BackAt = Stopwatch.GetTimestamp();
    }

    /// <summary>Waits for the sums and spreads them over all rows; those that the rank didn't get are zero, as they are in one process.</summary>
    /// <param name="lane">Whose rows they are.</param>
    /// <param name="all">[rows, D] f32 of the pass, of which its rows are written; null: the rank got none.</param>
    /// <param name="first">The first row of the pass that may be of this piece.</param>
    /// <param name="end">The one behind the last.</param>
    /// <param name="hidden">D.</param>
    public void Finish(ExpertLane lane, float* all, int first, int end, int hidden)
    {
        AwaitSums(lane);
        back?.Dispose();
        back = null;
        Leave(lane);
        IsSent = false;
        if (all is null)
            return;
        new Span<float>(all + (nint)first * hidden, (end - first) * hidden).Clear();
        for (int r = 0; r < share.RowsOfPass.Count; r++)
            new ReadOnlySpan<float>(sums.Current + (nint)r * hidden, hidden).CopyTo(new Span<float>(all + (nint)share.RowsOfPass[r] * hidden, hidden));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        share.Dispose();
        sums.Dispose();
    }
}

using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>A layer's rows on their way to a rank's experts, and its sums on their way back.</summary>
internal sealed unsafe class OutboundRows(RankGroup group, int rank) : IDisposable
{
    private readonly ShareMessage share = new();
    private readonly ScratchBuffer sums = new();
    private readonly List<RankMessage> messages = [];
    private RankMessage? back;

    /// <summary>When the sums were first seen to be here, in ticks of <see cref="Stopwatch"/>; 0: there are none.</summary>
    public long BackAt { get; private set; }

    /// <summary>Sends rows; without any, the rank learns that there are none.</summary>
    /// <param name="lane">Whose rows they are.</param>
    /// <param name="batch">The rank's rows by expert.</param>
    /// <param name="encoded">The pass's rows.</param>
    /// <param name="rows">How many there are.</param>
    /// <param name="hidden">D.</param>
    public void Send(ExpertLane lane, ExpertBatch batch, ActivationRows encoded, int rows, int hidden)
    {
        share.Pack(batch, encoded, rows, hidden);
        int bytes = checked(share.Header.Rows * hidden * sizeof(float)), first = Math.Min(share.Header.Bytes, ShareMessage.FirstPart);
        (back, BackAt) = (bytes > 0 ? group.Receive(rank, RankTag.Sums(lane), sums.Floats(bytes / sizeof(float)), bytes) : null, 0);
        if (back is not null)
            messages.Add(back);
        messages.Add(group.Send(rank, RankTag.Rows(lane), share.Bytes, first));
        if (share.Header.Bytes > first)
            messages.Add(group.Send(rank, RankTag.MoreRows(lane), share.Bytes + first, share.Header.Bytes - first));
    }

    /// <summary>Lets what is under way move on.</summary>
    public void Progress()
    {
        foreach (var message in messages)
            message.Done();
        if (back?.Done() == true && BackAt == 0)
            BackAt = Stopwatch.GetTimestamp();
    }

    /// <summary>Waits for the sums and spreads them over all rows; those that the rank didn't get are zero, as they are in one process.</summary>
    /// <param name="lane">Whose rows they are.</param>
    /// <param name="batch">The rank's rows by expert.</param>
    /// <param name="target">Receives [rows, D] f32; nothing where the rank got no rows.</param>
    /// <param name="rows">Rows of the pass.</param>
    /// <param name="hidden">D.</param>
    public void Finish(ExpertLane lane, ExpertBatch batch, ScratchBuffer target, int rows, int hidden)
    {
        if (back is not null && BackAt == 0)
        {
            group.Wait(back, $"layer {lane.Layer}'s experts");
            BackAt = Stopwatch.GetTimestamp();
        }

        back = null;
        group.WaitAll(messages, $"layer {lane.Layer}'s experts");
        if (batch.Tokens.Count == 0)
            return;
        float* all = target.Floats((nint)rows * hidden);
        new Span<float>(all, rows * hidden).Clear();
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

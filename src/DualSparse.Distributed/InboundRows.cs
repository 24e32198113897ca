using System.Diagnostics;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>A piece of a layer's rows that comes from a rank, and its sums on the way back to it.</summary>
internal sealed unsafe class InboundRows(RankGroup group, int rank) : IDisposable
{
    private readonly ShareMessage message = new();
    private readonly List<RankMessage> first = [], rest = [], answer = [];
    private bool begun, isUnpacked;

    /// <summary>Rows by expert, as this rank knows them.</summary>
    public ExpertBatch Batch { get; } = new();

    /// <summary>The rows.</summary>
    public ActivationRows Rows { get; } = new();

    /// <summary>How many there are.</summary>
    public int Count => message.Header.Rows;

    /// <summary>[rows, D] f32: the answer.</summary>
    public ScratchBuffer Sums { get; } = new();

    /// <summary>When all were first seen to be here, in ticks of <see cref="Stopwatch"/>; 0: none are expected.</summary>
    public long CameAt { get; private set; }

    /// <summary>Makes ready for the rows.</summary>
    public void Expect(ExpertLane lane)
    {
        (begun, isUnpacked, CameAt) = (false, false, 0);
        first.Add(group.Receive(rank, RankTag.Rows(lane), message.Reserve(ShareMessage.FirstPart), ShareMessage.FirstPart));
    }

    /// <summary>Lets what is under way move on.</summary>
    /// <returns>Whether all rows are here.</returns>
    public bool Progress(ExpertLane lane)
    {
        foreach (var part in answer)
            part.Done();
        return HasCome(lane);
    }

    /// <summary>Whether all rows are here; asking moves them on.</summary>
    public bool HasCome(ExpertLane lane)
    {
        if (CameAt > 0)
            return true;
        if (!begun && first.Count > 0 && first[0].Done())
            TakeRest(lane);
        bool all = begun;
        foreach (var part in rest)
            all &= part.Done();
        if (all)
            CameAt = Stopwatch.GetTimestamp();
        return all;
    }

    /// <summary>Waits for them.</summary>
    /// <param name="lane">Whose rows they are.</param>
    /// <param name="format">How they are encoded.</param>
    /// <param name="hidden">D.</param>
    public void Await(ExpertLane lane, ActivationFormat format, int hidden)
    {
        group.WaitAll(first, $"layer {lane.Layer}'s dispatch");
        if (!begun)
            TakeRest(lane);
        group.WaitAll(rest, $"layer {lane.Layer}'s dispatch");
        CameAt = CameAt > 0 ? CameAt : Stopwatch.GetTimestamp();
        if (!isUnpacked)
            message.Unpack(Batch, Rows, format, hidden);
        isUnpacked = true;
    }

    /// <summary>Sends the sums, which are computed.</summary>
    public void Answer(ExpertLane lane, int hidden) => answer.Add(group.Send(rank, RankTag.Sums(lane), Sums.Current, checked(Count * hidden * sizeof(float))));

    /// <summary>Waits until the sums are on their way.</summary>
    public void Finish(ExpertLane lane) => group.WaitAll(answer, $"layer {lane.Layer}'s sums");

    // The first part says how long the whole is.
    private void TakeRest(ExpertLane lane)
    {
        begun = true;
        int bytes = ((ShareHeader*)message.Bytes)->Bytes;
        if (bytes <= ShareMessage.FirstPart)
            return;
        byte[] kept = new ReadOnlySpan<byte>(message.Bytes, ShareMessage.FirstPart).ToArray();
        byte* whole = message.Reserve(bytes);
        kept.CopyTo(new Span<byte>(whole, kept.Length));
        rest.Add(group.Receive(rank, RankTag.MoreRows(lane), whole + kept.Length, bytes - kept.Length));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        message.Dispose();
        Rows.Dispose();
        Sums.Dispose();
    }
}

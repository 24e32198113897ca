using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>A layer's rows that come from a rank, and their sums on the way back to it.</summary>
internal sealed unsafe class InboundRows(RankGroup group, int rank) : IDisposable
{
    private readonly ShareMessage message = new();
    private readonly List<RankMessage> first = [], rest = [], answer = [];
    private bool begun;

    /// <summary>Rows by expert, as this rank knows them.</summary>
    public ExpertBatch Batch { get; } = new();

    /// <summary>The rows.</summary>
    public ActivationRows Rows { get; } = new();

    /// <summary>How many there are.</summary>
    public int Count => message.Header.Rows;

    /// <summary>[rows, D] f32: the answer.</summary>
    public ScratchBuffer Sums { get; } = new();

    /// <summary>Makes ready for the rows.</summary>
    public void Expect(int layer)
    {
        begun = false;
        first.Add(group.Receive(rank, RankTag.Rows(layer), message.Reserve(ShareMessage.FirstPart), ShareMessage.FirstPart));
    }

    /// <summary>Lets what is under way move on.</summary>
    public void Progress(int layer)
    {
        if (!begun && first.Count > 0 && first[0].Done())
            TakeRest(layer);
        foreach (var part in rest)
            part.Done();
        foreach (var part in answer)
            part.Done();
    }

    /// <summary>Waits for them.</summary>
    /// <param name="layer">The layer's index.</param>
    /// <param name="format">How they are encoded.</param>
    /// <param name="hidden">D.</param>
    public void Await(int layer, ActivationFormat format, int hidden)
    {
        group.WaitAll(first, $"layer {layer}'s dispatch");
        if (!begun)
            TakeRest(layer);
        group.WaitAll(rest, $"layer {layer}'s dispatch");
        message.Unpack(Batch, Rows, format, hidden);
    }

    /// <summary>Sends the sums, which are computed.</summary>
    public void Answer(int layer, int hidden) => answer.Add(group.Send(rank, RankTag.Sums(layer), Sums.Current, checked(Count * hidden * sizeof(float))));

    /// <summary>Waits until the sums are on their way.</summary>
    public void Finish(int layer) => group.WaitAll(answer, $"layer {layer}'s sums");

    // The first part says how long the whole is.
    private void TakeRest(int layer)
    {
        begun = true;
        int bytes = ((ShareHeader*)message.Bytes)->Bytes;
        if (bytes <= ShareMessage.FirstPart)
            return;
        byte[] kept = new ReadOnlySpan<byte>(message.Bytes, ShareMessage.FirstPart).ToArray();
        byte* whole = message.Reserve(bytes);
        kept.CopyTo(new Span<byte>(whole, kept.Length));
        rest.Add(group.Receive(rank, RankTag.MoreRows(layer), whole + kept.Length, bytes - kept.Length));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        message.Dispose();
        Rows.Dispose();
        Sums.Dispose();
    }
}

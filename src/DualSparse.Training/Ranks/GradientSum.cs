using DualSparse.Distributed;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Ranks;

/// <summary>The sum of all ranks' gradients of the tensors that every rank has, added in the order of ranks: each rank adds up its share and sends it to the others.</summary>
internal sealed unsafe class GradientSum : IDisposable
{
    private readonly RankGroup group;
    private readonly BlockExchange exchange;
    private readonly List<RankMessage> messages = [];
    private readonly ParameterChunk[] chunks;

    // [chunks] where each lies in a block without the experts; [ranks + 1] each rank's share of it.
    private readonly long[] places;
    private readonly int[] shares;
    private readonly AlignedBuffer dense, theirs;

    /// <summary>For a rank's tensors.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public GradientSum(RankGroup group, ParameterSet set)
    {
        (this.group, exchange) = (group, new BlockExchange(group));
        chunks = [.. set.Chunks.Where(chunk => set.All[chunk.Tensor].Expert is null)];
        places = new long[chunks.Length];
        long length = 0;
        for (int i = 0; i < chunks.Length; length += chunks[i++].Count)
            places[i] = length;
        shares = [.. Enumerable.Range(0, group.Size).Select(rank => new CutPart(rank, group.Size).Range(checked((int)length)).First), (int)length];
        dense = new AlignedBuffer((nuint)length * sizeof(float));
        theirs = new AlignedBuffer((nuint)group.Size * (nuint)(shares[group.Rank + 1] - shares[group.Rank]) * sizeof(float));
    }

    /// <summary>Every rank's gradients become the sum of all.</summary>
    public void Add(ThreadTeam team, ParameterSet set)
    {
        const string what = "the sum of gradients";
        float* all = (float*)dense.Pointer, parts = (float*)theirs.Pointer;
        team.For(chunks.Length, (i, _) => new ReadOnlySpan<float>(set.Gradients + chunks[i].First, chunks[i].Count).CopyTo(new Span<float>(all + places[i], chunks[i].Count)));
        int first = shares[group.Rank], mine = shares[group.Rank + 1] - first;
        exchange.Begin(RankTag.Part, all, shares, parts, [.. Enumerable.Range(0, group.Size + 1).Select(rank => rank * mine)], sizeof(float));
        exchange.End(what);
        // part 0 + part 1 + …
        new ReadOnlySpan<float>(parts, mine).CopyTo(new Span<float>(all + first, mine));
        ParallelSum.Add(team, all + first, mine, [.. Enumerable.Range(1, group.Size - 1).Select(rank => (nint)(parts + (nint)rank * mine))]);
        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank == group.Rank)
                continue;
            messages.Add(group.Receive(rank, RankTag.Sum, all + shares[rank], checked((shares[rank + 1] - shares[rank]) * sizeof(float))));
            messages.Add(group.Send(rank, RankTag.Sum, all + first, checked(mine * sizeof(float))));
        }

        group.WaitAll(messages, what);
        team.For(chunks.Length, (i, _) => new ReadOnlySpan<float>(all + places[i], chunks[i].Count).CopyTo(new Span<float>(set.Gradients + chunks[i].First, chunks[i].Count)));
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        dense.Dispose();
        theirs.Dispose();
    }
}

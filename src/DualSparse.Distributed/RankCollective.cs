using DualSparse.Engine;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels.Memory;

namespace DualSparse.Distributed;

/// <summary>What ranks do together that compute parts of the same rows, each in a process of its own.</summary>
internal sealed unsafe class RankCollective(RankGroup group) : ICollective, IDisposable
{
    // From here on each rank adds up only its own rows: twice the latency, but a rank's additions and bytes don't grow with the number of ranks.
    internal const int ShareFrom = 256 << 10;

    private readonly ScratchBuffer received = new();
    private readonly List<RankMessage> messages = [];
    private readonly Dictionary<Operator, string> names = [];

    /// <inheritdoc/>
    public void AllReduce(Pass pass, IReadOnlyList<nint> own, int rows, int width, float* y)
    {
        float* mine = (float*)own[0];
        string what = Name(pass.Running);
        if (rows < group.Size || (long)rows * width * sizeof(float) < ShareFrom)
            Whole(pass, mine, rows, width, y, what);
        else
            Shared(pass, mine, rows, width, y, what);
    }

    /// <inheritdoc/>
    public void GatherLogits(Pass pass, int rows, int vocabulary, float* logits)
    {
        const string what = "the output head";
        var parts = Enumerable.Range(0, group.Size).Select(rank => TrunkCut.Ids(vocabulary, new CutPart(rank, group.Size))).ToArray();
        float* columns = pass.Memory.LogitColumns.Floats((nint)rows * vocabulary);
        if (group.Rank > 0)
        {
            var (first, count) = parts[group.Rank];
            for (int r = 0; r < rows; r++)
                new ReadOnlySpan<float>(logits + (nint)r * vocabulary + first, count).CopyTo(new Span<float>(columns + (nint)r * count, count));
            messages.Add(group.Send(0, RankTag.Logits, columns, Bytes(rows, count)));
            group.WaitAll(messages, what);
            return;
        }

        for (int rank = 1; rank < group.Size; rank++)
            messages.Add(group.Receive(rank, RankTag.Logits, columns + (nint)rows * parts[rank].First, Bytes(rows, parts[rank].Count)));
        group.WaitAll(messages, what);
        for (int rank = 1; rank < group.Size; rank++)
        {
            var (first, count) = parts[rank];
            for (int r = 0; r < rows; r++)
                new ReadOnlySpan<float>(columns + (nint)rows * first + (nint)r * count, count).CopyTo(new Span<float>(logits + (nint)r * vocabulary + first, count));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => received.Dispose();

    // Every rank sends its part to every other, and all add up all rows.
    private void Whole(Pass pass, float* mine, int rows, int width, float* y, string what)
    {
        nint size = (nint)rows * width;
        float* others = received.Floats(group.Size * size);
        nint[] parts = new nint[group.Size];
        for (int rank = 0; rank < group.Size; rank++)
        {
            parts[rank] = rank == group.Rank ? (nint)mine : (nint)(others + rank * size);
            if (rank != group.Rank)
                messages.Add(group.Receive(rank, RankTag.Part, (float*)parts[rank], Bytes(rows, width)));
        }

        for (int rank = 0; rank < group.Size; rank++)
        {
            if (rank != group.Rank)
                messages.Add(group.Send(rank, RankTag.Part, mine, Bytes(rows, width)));
        }

        group.WaitAll(messages, what);
        LocalCollective.Instance.AllReduce(pass, parts, rows, width, y);
    }

    // Every rank gets all parts of its own rows, adds them up, and sends the sums to the others.
    private void Shared(Pass pass, float* mine, int rows, int width, float* y, string what)
    {
        var (first, count) = new CutPart(group.Rank, group.Size).Range(rows);
        nint size = (nint)count * width;
        float* others = received.Floats(group.Size * size);
        nint[] parts = new nint[group.Size];
        for (int rank = 0; rank < group.Size; rank++)
        {
            parts[rank] = rank == group.Rank ? (nint)(mine + (nint)first * width) : (nint)(others + rank * size);
            if (rank != group.Rank)
                messages.Add(group.Receive(rank, RankTag.Part, (float*)parts[rank], Bytes(count, width)));
        }

        for (int rank = 0; rank < group.Size; rank++)
        {
            var (from, theirs) = new CutPart(rank, group.Size).Range(rows);
            if (rank != group.Rank)
                messages.Add(group.Send(rank, RankTag.Part, mine + (nint)from * width, Bytes(theirs, width)));
        }

        group.WaitAll(messages, what);
        LocalCollective.Instance.AllReduce(pass, parts, count, width, y + (nint)first * width);
        for (int rank = 0; rank < group.Size; rank++)
        {
            var (from, theirs) = new CutPart(rank, group.Size).Range(rows);
            if (rank == group.Rank)
                continue;
            messages.Add(group.Receive(rank, RankTag.Sum, y + (nint)from * width, Bytes(theirs, width)));
            messages.Add(group.Send(rank, RankTag.Sum, y + (nint)first * width, Bytes(count, width)));
        }

        group.WaitAll(messages, what);
    }

    private string Name(Operator running)
    {
        if (!names.TryGetValue(running, out string? name))
            names.Add(running, name = $"layer {running.Layer}'s {(running.Kind == OperatorKind.Attention ? "attention" : running.Kind == OperatorKind.EndExperts ? "experts" : "MLP")}");
        return name;
    }

    private static int Bytes(int rows, int width) => checked(rows * width * sizeof(float));
}

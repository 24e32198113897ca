using System.Text;
using DualSparse.Distributed;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training.Ranks;

/// <summary>What ranks tell each other in training besides rows: orders, tensors, losses, norms.</summary>
/// <param name="group">The ranks.</param>
internal sealed unsafe class TrainingPeers(RankGroup group) : IDisposable
{
    // Longer than any kernel's name.
    private const int NameBytes = 128;

    private readonly RankLetter letter = new();
    private readonly List<RankMessage> messages = [];
    private GradientSum? sum;

    /// <summary>The ranks.</summary>
    public RankGroup Group => group;

    /// <summary>Whether this is the rank that says what is done.</summary>
    public bool Leads => group.Rank == 0;

    /// <summary>Tells the other ranks what to do; nothing where this rank doesn't lead.</summary>
    public void Order(TrainingOrder order)
    {
        if (Leads)
            order.Send(group, letter);
    }

    /// <summary>Waits for what rank 0 says.</summary>
    public TrainingOrder Receive() => TrainingOrder.Receive(group, letter);

    /// <summary>Ranks compare what they multiply with: sums of different kernels have different bits.</summary>
    /// <param name="kernel">This rank's kernel.</param>
    /// <exception cref="InvalidOperationException">On rank 0: another rank has another.</exception>
    public void CompareKernels(string kernel)
    {
        byte* name = stackalloc byte[NameBytes], theirs = stackalloc byte[NameBytes];
        new Span<byte>(name, NameBytes).Clear();
        Encoding.UTF8.GetBytes(kernel, new Span<byte>(name, NameBytes));
        const string what = "the names of kernels";
        if (!Leads)
        {
            messages.Add(group.Send(0, RankTag.Loaded, name, NameBytes));
            group.WaitAll(messages, what);
            return;
        }

        for (int rank = 1; rank < group.Size; rank++)
        {
            messages.Add(group.Receive(rank, RankTag.Loaded, theirs, NameBytes));
            group.WaitAll(messages, what: null);
            string found = Encoding.UTF8.GetString(new ReadOnlySpan<byte>(theirs, NameBytes)).TrimEnd('\0');
            if (found != kernel)
                throw new InvalidOperationException($"rank {rank} ({group.Hosts[rank]}) multiplies by {found}, and rank 0 by {kernel}: give all of them one by DUALSPARSE_KERNEL and --products");
        }
    }

    /// <summary>Rank 0 sends every rank the values and means of its tensors.</summary>
    public void Scatter(ParameterSet set, AdamW optimizer, Func<int, IEnumerable<Parameter>> tensorsOf)
    {
        if (!Leads)
            Move(set, optimizer, tensorsOf(group.Rank), 0, send: false);
        for (int rank = 1; Leads && rank < group.Size; rank++)
            Move(set, optimizer, tensorsOf(rank), rank, send: true);
    }

    /// <summary>Rank 0 gets the values and means of the experts that it doesn't have.</summary>
    public void Gather(ParameterSet set, AdamW optimizer, Func<int, IEnumerable<Parameter>> tensorsOf)
    {
        if (!Leads)
            Move(set, optimizer, tensorsOf(group.Rank).Where(parameter => parameter.Expert is not null), 0, send: true);
        for (int rank = 1; Leads && rank < group.Size; rank++)
            Move(set, optimizer, tensorsOf(rank).Where(parameter => parameter.Expert is not null), rank, send: false);
    }

    /// <summary>Every rank's gradients of the tensors that all have become their sum.</summary>
    public void Add(TrainableModel model) => (sum ??= new GradientSum(group, model.Parameters)).Add(model.Team, model.Parameters);

    /// <summary>[ranks · numbers] every rank's, by rank.</summary>
    public double[] All(double[] mine)
    {
        var all = new double[group.Size * mine.Length];
        int bytes = mine.Length * sizeof(double);
        fixed (double* own = mine, to = all)
        {
            for (int rank = 0; rank < group.Size; rank++)
            {
                if (rank == group.Rank)
                    continue;
                messages.Add(group.Receive(rank, RankTag.Figures, to + (nint)rank * mine.Length, bytes));
                messages.Add(group.Send(rank, RankTag.Figures, own, bytes));
            }

            group.WaitAll(messages, "the figures of a step");
        }

        mine.CopyTo(all, group.Rank * mine.Length);
        return all;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        letter.Dispose();
        sum?.Dispose();
    }

    private void Move(ParameterSet set, AdamW optimizer, IEnumerable<Parameter> tensors, int peer, bool send)
    {
        foreach (var parameter in tensors)
        {
            int bytes = checked((int)(parameter.Count * sizeof(float)));
            foreach (nint memory in (nint[])[(nint)set.Values, (nint)optimizer.Means, (nint)optimizer.Squares])
            {
                float* elements = (float*)memory + parameter.Offset;
                messages.Add(send ? group.Send(peer, RankTag.Figures, elements, bytes) : group.Receive(peer, RankTag.Figures, elements, bytes));
            }

            group.WaitAll(messages, "tensors");
        }
    }
}

using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Distributed;

/// <summary>Few rows of several ranks as one batch, so that each expert is read once. A row's sum doesn't depend on the others.</summary>
internal sealed unsafe class MergedRows : IDisposable
{
    private readonly ExpertBatch batch = new();
    private readonly ActivationRows rows = new();
    private readonly ScratchBuffer sums = new();
    private readonly List<(ExpertBatch Batch, ActivationRows Rows, int Count)> parts = [];
    private PackedExperts? experts;
    private ActivationFormat format;
    private int inputs;

    /// <summary>Empties it.</summary>
    /// <param name="form">How rows are encoded.</param>
    /// <param name="own">The experts that will compute them.</param>
    public void Reset(ActivationFormat form, PackedExperts own)
    {
        (format, inputs, experts) = (form, own.Hidden, own);
        parts.Clear();
    }

    /// <summary>Adds a rank's rows.</summary>
    public void Add(ExpertBatch own, ActivationRows encoded, int count) => parts.Add((own, encoded, count));

    /// <summary>All rows: those of a rank after those of the one that was added before.</summary>
    public ExpertShare Share()
    {
        int count = parts.Sum(part => part.Count), first = 0;
        rows.Reset(format, count, inputs);
        batch.Clear();
        // By expert, those of full rows before those of the major half, as in a rank's own list.
        SortedDictionary<int, List<(int Token, float Weight)>> full = [], major = [];
        foreach (var part in parts)
        {
            for (int r = 0; r < part.Count; r++)
                rows.Copy(first + r, part.Rows, r);
            foreach (var expert in part.Batch.Experts)
            {
                for (int i = 0; i < expert.Count; i++)
                    Of(i < expert.Full ? full : major, expert.Expert).Add((first + part.Batch.Tokens[expert.First + i], part.Batch.Weights[expert.First + i]));
                Of(full, expert.Expert);
            }

            first += part.Count;
        }

        foreach (var (expert, whole) in full)
        {
            var half = Of(major, expert);
            batch.Experts.Add(new ExpertRows(expert, batch.Tokens.Count, whole.Count, whole.Count + half.Count));
            foreach (var (token, weight) in whole.Concat(half))
            {
                batch.Tokens.Add(token);
                batch.Weights.Add(weight);
            }
        }

        return new ExpertShare(batch, rows, count, experts!, sums);

        static List<(int Token, float Weight)> Of(SortedDictionary<int, List<(int, float)>> lists, int expert) =>
            lists.TryGetValue(expert, out var list) ? list : lists[expert] = [];
    }

    /// <summary>Copies the sums of the next rank's rows.</summary>
    /// <param name="first">Its first row here; then that of the next.</param>
    /// <param name="count">Its rows.</param>
    /// <param name="hidden">D.</param>
    /// <param name="target">Receives [count, D] f32.</param>
    public void CopySums(ref int first, int count, int hidden, ScratchBuffer target)
    {
        new ReadOnlySpan<float>(sums.Current + (nint)first * hidden, count * hidden).CopyTo(new Span<float>(target.Floats((nint)count * hidden), count * hidden));
        first += count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        rows.Dispose();
        sums.Dispose();
    }
}

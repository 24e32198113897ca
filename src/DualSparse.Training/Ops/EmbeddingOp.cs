using System.Numerics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Rows of a table by id.</summary>
internal static unsafe class EmbeddingOp
{
    // Tokens copied by one thread at a time.
    private const int TokensPerItem = 64;

    // Ids are dealt out to so many items by their remainder, since common ids are mostly neighbours; more than there are threads.
    private const int Shares = 64;

    /// <summary>y[t] = table[ids[t]].</summary>
    /// <param name="team">The threads.</param>
    /// <param name="table">[vocabulary, width].</param>
    /// <param name="ids">[tokens].</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="y">[tokens, width], dense, overwritten.</param>
    public static void Forward(ThreadTeam team, float* table, int[] ids, int width, float* y) =>
        team.For((ids.Length + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(ids.Length, (item + 1) * TokensPerItem); t++)
                new ReadOnlySpan<float>(table + (nint)ids[t] * width, width).CopyTo(new Span<float>(y + (nint)t * width, width));
        });

    /// <summary>dTable[ids[t]] += dy[t]; the tokens of an id in their order.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dy">[tokens, width], dense.</param>
    /// <param name="ids">[tokens].</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="dTable">[vocabulary, width], added to.</param>
    public static void Backward(ThreadTeam team, float* dy, int[] ids, int width, float* dTable) =>
        team.For(Shares, (item, _) =>
        {
            for (int t = 0; t < ids.Length; t++)
            {
                if (ids[t] % Shares == item)
                    Add(dy + (nint)t * width, width, dTable + (nint)ids[t] * width);
            }
        });

    private static void Add(float* source, int count, float* target)
    {
        int i = 0;
        for (; i + Vector<float>.Count <= count; i += Vector<float>.Count)
            (Vector.Load(target + i) + Vector.Load(source + i)).Store(target + i);
        for (; i < count; i++)
            target[i] += source[i];
    }
}

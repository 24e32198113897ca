using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe;

/// <summary>Inverts a routing plan: the rows of each expert, full ones first; dropped pairs have none.</summary>
internal static class RowLists
{
    // Two counters each; more experts than any published model has use the heap.
    private const int MaxExpertsOnStack = 512;

    /// <summary>Fills <paramref name="batch"/> with one rank's rows; within an expert's full or major-only rows, tokens keep their order.</summary>
    /// <param name="plan">The routing, decided.</param>
    /// <param name="placement">Which rank has which expert.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="batch">Receives the rows of the rank's experts.</param>
    /// <param name="ownIndex">Whether experts go by their index among the rank's own, as a process that has only these knows them.</param>
    public static void Build(RoutingPlan plan, ExpertPlacement placement, int rank, ExpertBatch batch, bool ownIndex = false)
    {
        batch.Clear();
        var rankOf = placement.RankOf;
        int experts = rankOf.Length;
        // Two counters an expert, full and major; each becomes the index of its next row.
        Span<int> nextRow = experts <= MaxExpertsOnStack ? stackalloc int[2 * experts] : new int[2 * experts];
        nextRow.Clear();
        ReadOnlySpan<int> chosen = plan.Experts;
        ReadOnlySpan<Computation> computations = plan.Computations;
        ReadOnlySpan<float> pairWeights = plan.Weights;
        for (int i = 0; i < chosen.Length; i++)
        {
            if (computations[i] != Computation.Drop && rankOf[chosen[i]] == rank)
                nextRow[2 * chosen[i] + (int)computations[i]]++;
        }

        int row = 0;
        for (int e = 0; e < experts; e++)
        {
            int full = nextRow[2 * e], count = full + nextRow[2 * e + 1];
            if (count > 0)
                batch.Experts.Add(new ExpertRows(ownIndex ? placement.IndexOf[e] : e, row, full, count));
            (nextRow[2 * e], nextRow[2 * e + 1]) = (row, row + full);
            row += count;
        }

        CollectionsMarshal.SetCount(batch.Tokens, row);
        CollectionsMarshal.SetCount(batch.Weights, row);
        var tokens = CollectionsMarshal.AsSpan(batch.Tokens);
        var weights = CollectionsMarshal.AsSpan(batch.Weights);
        for (int token = 0, i = 0; token < plan.Tokens; token++)
        {
            for (int end = i + plan.TopK; i < end; i++)
            {
                if (computations[i] == Computation.Drop || rankOf[chosen[i]] != rank)
                    continue;
                int index = nextRow[2 * chosen[i] + (int)computations[i]]++;
                (tokens[index], weights[index]) = (token, pairWeights[i]);
            }
        }
    }
}

using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe;

/// <summary>Inverts a routing plan: the rows of each expert, full ones first; dropped pairs have none.</summary>
internal static class RowLists
{
    // Two counters each; more experts than any published model has use the heap.
    private const int MaxPartsOnStack = 512;

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
        int units = rankOf.Length, parts = placement.Parts;
        // Two positions a part, full and major; counts become each position's first row.
        Span<int> positions = units <= MaxPartsOnStack ? stackalloc int[2 * units] : new int[2 * units];
        positions.Clear();
        ReadOnlySpan<int> chosen = plan.Experts;
        ReadOnlySpan<Computation> computations = plan.Computations;
        ReadOnlySpan<float> pairWeights = plan.Weights;
        for (int i = 0; i < chosen.Length; i++)
        {
            for (int part = chosen[i] * parts; computations[i] != Computation.Drop && part < (chosen[i] + 1) * parts; part++)
            {
                if (rankOf[part] == rank)
                    positions[2 * part + (int)computations[i]]++;
            }
        }

        int row = 0;
        for (int part = 0; part < units; part++)
        {
            int full = positions[2 * part], count = full + positions[2 * part + 1];
            if (count > 0)
                batch.Experts.Add(new ExpertRows(ownIndex ? placement.IndexOf[part] : part, row, full, count));
            (positions[2 * part], positions[2 * part + 1]) = (row, row + full);
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
                for (int part = chosen[i] * parts; computations[i] != Computation.Drop && part < (chosen[i] + 1) * parts; part++)
                {
                    if (rankOf[part] != rank)
                        continue;
                    int position = positions[2 * part + (int)computations[i]]++;
                    (tokens[position], weights[position]) = (token, pairWeights[i]);
                }
            }
        }
    }
}

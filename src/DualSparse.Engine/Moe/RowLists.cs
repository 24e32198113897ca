using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe;

/// <summary>A routing plan turned round: for each expert its rows, full ones first, dropped ones nowhere.</summary>
internal static class RowLists
{
    // Two places each; more experts than any published model has get them from the heap.
    private const int MaxExpertsOnStack = 512;

    /// <summary>Fills <paramref name="batch"/> with one rank's rows; within an expert and a kind of row, tokens keep their order.</summary>
    /// <param name="plan">Decided.</param>
    /// <param name="placement">Which rank has which expert.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="batch">Receives the rows of the rank's experts.</param>
    public static void Build(RoutingPlan plan, ExpertPlacement placement, int rank, ExpertBatch batch)
    {
        batch.Clear();
        var rankOf = placement.RankOf;
        int experts = rankOf.Length;
        // Two places an expert, full and major; counts become each place's first row.
        Span<int> places = experts <= MaxExpertsOnStack ? stackalloc int[2 * experts] : new int[2 * experts];
        places.Clear();
        ReadOnlySpan<int> chosen = plan.Experts;
        ReadOnlySpan<Computation> computations = plan.Computations;
        ReadOnlySpan<float> pairWeights = plan.Weights;
        for (int i = 0; i < chosen.Length; i++)
        {
            if (computations[i] != Computation.Drop && rankOf[chosen[i]] == rank)
                places[2 * chosen[i] + (int)computations[i]]++;
        }

        int row = 0;
        for (int e = 0; e < experts; e++)
        {
            int full = places[2 * e], count = full + places[2 * e + 1];
            if (count > 0)
                batch.Experts.Add(new ExpertRows(e, row, full, count));
            (places[2 * e], places[2 * e + 1]) = (row, row + full);
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
                int place = places[2 * chosen[i] + (int)computations[i]]++;
                (tokens[place], weights[place]) = (token, pairWeights[i]);
            }
        }
    }
}

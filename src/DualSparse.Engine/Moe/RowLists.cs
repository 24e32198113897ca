using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe;

/// <summary>A routing plan turned round: for each expert its rows, full ones first, dropped ones nowhere.</summary>
internal static class RowLists
{
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
        Span<int> places = experts <= 512 ? stackalloc int[2 * experts] : new int[2 * experts];
        places.Clear();
        var chosen = plan.Experts;
        var computations = plan.Computations;
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
        for (int i = 0; i < chosen.Length; i++)
        {
            if (computations[i] == Computation.Drop || rankOf[chosen[i]] != rank)
                continue;
            int place = places[2 * chosen[i] + (int)computations[i]]++;
            batch.Tokens[place] = i / plan.TopK;
            batch.Weights[place] = plan.Weights[i];
        }
    }
}

using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe;

/// <summary>A routing plan turned round: for each expert its rows, full ones first, dropped ones nowhere.</summary>
public static class RowLists
{
    /// <summary>Fills <paramref name="batch"/>; within an expert and a kind of row, tokens keep their order.</summary>
    public static void Build(RoutingPlan plan, int experts, ExpertBatch batch)
    {
        batch.Clear();
        // Two places an expert, full and major; counts become each place's first row.
        Span<int> places = experts <= 512 ? stackalloc int[2 * experts] : new int[2 * experts];
        places.Clear();
        var chosen = plan.Experts;
        var computations = plan.Computations;
        for (int i = 0; i < chosen.Length; i++)
        {
            if (computations[i] != Computation.Drop)
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
            if (computations[i] == Computation.Drop)
                continue;
            int place = places[2 * chosen[i] + (int)computations[i]]++;
            batch.Tokens[place] = i / plan.TopK;
            batch.Weights[place] = plan.Weights[i];
        }
    }
}

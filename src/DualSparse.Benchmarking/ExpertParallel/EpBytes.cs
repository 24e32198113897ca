using DualSparse.Engine.Moe;
using DualSparse.Engine.Ranks;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>What an exchange has to send, from the plans alone: the bytes that are counted on the way must be these.</summary>
internal static class EpBytes
{
    // Of a share: rows, pairs, experts and bytes; then an expert's number, first row and two counts; then a pair's row and weight.
    private const int Header = 4 * sizeof(int), Expert = 4 * sizeof(int), Pair = sizeof(int) + sizeof(float);

    /// <summary>A rank's rows on their way to another: each once, with the experts and weights of its pairs there.</summary>
    /// <param name="plan">The rows.</param>
    /// <param name="placement">Which rank has which expert.</param>
    /// <param name="to">The other rank.</param>
    /// <param name="rowBytes">Bytes of an encoded row.</param>
    /// <returns>Bytes, and the rows that go.</returns>
    public static (long Bytes, int Rows) Rows(RoutingPlan plan, ExpertPlacement placement, int to, int rowBytes)
    {
        var there = new bool[placement.RankOf.Length];
        long pairs = 0;
        int rows = 0;
        for (int token = 0; token < plan.Tokens; token++)
        {
            bool goes = false;
            for (int i = token * plan.TopK; i < (token + 1) * plan.TopK; i++)
            {
                for (int part = plan.Experts[i] * placement.Parts; part < (plan.Experts[i] + 1) * placement.Parts; part++)
                {
                    if (plan.Computations[i] == Computation.Drop || placement.RankOf[part] != to)
                        continue;
                    (there[part], goes) = (true, true);
                    pairs++;
                }
            }

            rows += goes ? 1 : 0;
        }

        return (Header + (long)Expert * there.Count(used => used) + Pair * pairs + (long)rows * rowBytes, rows);
    }

    /// <summary>Sums on their way back.</summary>
    public static long Sums(int rows, int hidden) => (long)rows * hidden * sizeof(float);

    /// <summary>What a rank sends of an all-reduce: its part to every other; or, of a large one, of each other's rows its part, and the sums of its own.</summary>
    /// <param name="rank">The rank.</param>
    /// <param name="ranks">Ranks.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="hidden">D.</param>
    /// <param name="shareFrom">Bytes from which on it is a large one.</param>
    public static long AllReduce(int rank, int ranks, int rows, int hidden, int shareFrom)
    {
        long all = Sums(rows, hidden);
        if (rows < ranks || all < shareFrom)
            return (ranks - 1) * all;
        long own = Sums(new CutPart(rank, ranks).Range(rows).Count, hidden);
        return all - own + (ranks - 1) * own;
    }
}

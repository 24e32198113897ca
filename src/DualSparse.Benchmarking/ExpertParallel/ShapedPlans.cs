using DualSparse.Distributed.Measuring;
using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>Routing of a given shape: experts' popularity by Zipf's law, and one rank that has more than its share.</summary>
internal static class ShapedPlans
{
    // Of the logarithm of a popularity: beyond it every row takes the favoured experts, or none.
    private const double MostFavour = 40;

    // Halvings of that range: below the favour that moves a single pair.
    private const int Halvings = 32;

    // Single pairs can't be cut.
    private const double Tolerance = 0.01;

    /// <summary>Draws plans.</summary>
    /// <param name="setting">Shape, rows, placement.</param>
    /// <param name="ranks">Ranks.</param>
    /// <param name="zipf">See <see cref="ExchangeShape.Zipf"/>.</param>
    /// <param name="hot">The first rank's load over the mean; null: as it comes.</param>
    /// <returns>[ranks][layers].</returns>
    /// <exception cref="ArgumentException">No routing has such a load.</exception>
    public static RoutingPlan[][] Draw(EpSetting setting, int ranks, double zipf, double? hot)
    {
        var layers = Enumerable.Range(0, setting.Layers).Select(layer => Layer(setting, ranks, layer, zipf, hot)).ToArray();
        return [.. Enumerable.Range(0, ranks).Select(rank => layers.Select(layer => layer[rank]).ToArray())];
    }

    private static RoutingPlan[] Layer(EpSetting setting, int ranks, int layer, double zipf, double? hot)
    {
        var placement = setting.Placement(ranks, layer);
        if (hot is not { } asked)
            return Favour(0);
        var (cold, warm) = (Hottest(-MostFavour), Hottest(MostFavour));
        if (!(asked > cold - Tolerance && asked < warm + Tolerance))
            throw new ArgumentException($"--hot is {asked}, expected {Math.Max(1, cold):0.##} to {warm:0.##}: what one of {ranks} ranks can have over the mean by this placement");
        double low = -MostFavour, high = MostFavour;
        for (int i = 0; i < Halvings; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Hottest(middle) < asked ? (middle, high) : (low, middle);
        }

        return Favour(high);

        double Hottest(double favour)
        {
            long[] loads = EpRouting.Loads(Favour(favour), placement);
            return loads[0] / loads.Average();
        }

        // The same noise each time: the load grows with the favour.
        RoutingPlan[] Favour(double favour)
        {
            double[] favours = new double[setting.Shape.Experts];
            for (int part = 0; part < placement.RankOf.Length; part++)
            {
                if (placement.RankOf[part] == 0)
                    favours[part / placement.Parts] = favour;
            }

            var shape = new ExchangeShape(setting.Tokens, setting.Shape.Hidden, setting.Shape.Experts, setting.Shape.TopK, zipf, WireFormat.Bf16, WireFormat.F32);
            var drawn = new ShapedRouting(shape, ranks, favours, layer);
            return [.. Enumerable.Range(0, ranks).Select(rank => Plan(drawn, rank))];
        }
    }

    private static RoutingPlan Plan(ShapedRouting drawn, int rank)
    {
        var plan = new RoutingPlan();
        plan.Reset(drawn.Shape.Tokens, drawn.Shape.TopK);
        for (int token = 0; token < plan.Tokens; token++)
        {
            int first = token * plan.TopK;
            drawn.Experts(rank, token).CopyTo(plan.Experts[first..]);
            drawn.Weights(rank, token).CopyTo(plan.Weights[first..]);
            float sum = 0;
            foreach (float weight in drawn.Weights(rank, token))
                sum += weight;
            for (int k = 0; k < plan.TopK; k++)
                plan.Scores[first + k] = plan.Weights[first + k] / sum;
        }

        return plan;
    }
}

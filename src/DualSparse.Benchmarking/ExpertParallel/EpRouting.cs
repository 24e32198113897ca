using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>Where rows go: a plan for each rank's rows in each layer.</summary>
/// <param name="name">How they are routed, for people.</param>
/// <param name="plans">For so many ranks: [ranks][layers].</param>
internal sealed class EpRouting(string name, Func<int, RoutingPlan[][]> plans)
{
    private readonly Dictionary<int, RoutingPlan[][]> known = [];

    /// <summary>How rows are routed, for people.</summary>
    public string Name => name;

    /// <summary>[ranks][layers] the plans of each rank's rows.</summary>
    /// <exception cref="ArgumentException">There is no such routing for so many ranks.</exception>
    public RoutingPlan[][] Of(int ranks)
    {
        if (known.TryGetValue(ranks, out var found))
            return found;
        found = plans(ranks);
        // A mode that computes less (a drop, a balance of loads) changes plans here: work, messages and their theory follow from them alone.
        return known[ranks] = found;
    }

    /// <summary>The rows of several ranks, one rank's after another's, as one plan.</summary>
    public static RoutingPlan Joined(IReadOnlyList<RoutingPlan> plans)
    {
        var all = new RoutingPlan();
        all.Reset(plans.Sum(plan => plan.Tokens), plans[0].TopK);
        int first = 0;
        foreach (var plan in plans)
        {
            plan.Experts.CopyTo(all.Experts[first..]);
            plan.Weights.CopyTo(all.Weights[first..]);
            plan.Scores.CopyTo(all.Scores[first..]);
            plan.Computations.CopyTo(all.Computations[first..]);
            first += plan.Experts.Length;
        }

        return all;
    }

    /// <summary>[ranks] each rank's load in parts of an expert: row-expert pairs that aren't dropped.</summary>
    public static long[] Loads(IEnumerable<RoutingPlan> plans, ExpertPlacement placement)
    {
        long[] counts = new long[placement.Experts];
        foreach (var plan in plans)
        {
            for (int i = 0; i < plan.Experts.Length; i++)
            {
                if (plan.Computations[i] != Computation.Drop)
                    counts[plan.Experts[i]]++;
            }
        }

        return placement.Loads(counts);
    }

    /// <summary>[ranks] the same whatever is dropped.</summary>
    public static long[] AllLoads(IEnumerable<RoutingPlan> plans, ExpertPlacement placement)
    {
        long[] counts = new long[placement.Experts];
        foreach (var plan in plans)
        {
            foreach (int expert in plan.Experts)
                counts[expert]++;
        }

        return placement.Loads(counts);
    }

    /// <summary>Σ mean / Σ max of the loads of ranks, over layers: 1 is even.</summary>
    public static double Balancedness(EpSetting setting, RoutingPlan[][] plans)
    {
        double mean = 0, max = 0;
        for (int layer = 0; layer < setting.Layers; layer++)
        {
            long[] loads = Loads(plans.Select(rank => rank[layer]), setting.Placement(plans.Length, layer));
            (mean, max) = (mean + loads.Average(), max + loads.Max());
        }

        return mean / max;
    }
}

using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking;

/// <summary>One drop rate on a set of plans: its rule, the least that it costs, and the time that each round took.</summary>
internal sealed class LayerVariant
{
    public LayerVariant(LayerShape shape, WeightFormat weights, RoutingPlan[] plans, DropRequest request, bool shared)
    {
        var rule = LayerRule.Of(request, 0, shape.Experts);
        Text = new TextDrop(new DropPlan(request, [rule], [rule], null, null, null), layers: 1);
        var placement = ExpertPlacement.SingleRank(shape.Experts);
        var batch = new ExpertBatch();
        var neurons = new NeuronLayout(shape.Neurons);
        double bytes = 0, operations = 0;
        var counts = default(DropCounts);
        foreach (var plan in plans)
        {
            DropPolicy.Apply(plan, rule);
            RowLists.Build(plan, placement, 0, batch);
            var floor = Floor.Of(weights, shape, batch);
            if (shared)
                floor = floor.WithShared(weights, shape, plan.Tokens);
            bytes += floor.Bytes / plans.Length;
            operations += floor.Operations / plans.Length;
            counts += DropCounts.Of(plan, 0, plan.Tokens, neurons);
        }

        (Floor, DropRate) = (new Floor(bytes, operations), counts.Rate);
    }

    /// <summary>What is left out.</summary>
    public TextDrop Text { get; }

    /// <summary>Mean over the plans, shared experts included.</summary>
    public Floor Floor { get; }

    /// <summary>Of the neurons of all routed pairs, those left out.</summary>
    public double DropRate { get; }

    /// <summary>One layer, a round each.</summary>
    public List<double> Seconds { get; } = [];
}

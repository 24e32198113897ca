using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking;

/// <summary>One drop rate on a set of plans: its rule, its roofline, and the time of each round.</summary>
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
            var roofline = Roofline.Of(weights, shape, batch);
            if (shared)
                roofline = roofline.WithShared(weights, shape, plan.Tokens);
            bytes += roofline.Bytes / plans.Length;
            operations += roofline.Operations / plans.Length;
            counts += DropCounts.Of(plan, 0, plan.Tokens, neurons);
        }

        (Roofline, DropRate) = (new Roofline(bytes, operations), counts.Rate);
    }

    /// <summary>The drop.</summary>
    public TextDrop Text { get; }

    /// <summary>The mean roofline over the plans, including shared experts.</summary>
    public Roofline Roofline { get; }

    /// <summary>The share of the neurons of all routed pairs that is dropped.</summary>
    public double DropRate { get; }

    /// <summary>Seconds of one layer, for each round.</summary>
    public List<double> Seconds { get; } = [];
}

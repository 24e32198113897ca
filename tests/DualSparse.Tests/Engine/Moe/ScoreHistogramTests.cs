using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Tests.Engine.Moe;

public class ScoreHistogramTests
{
    // Its score is 1 whatever the logits: no threshold that is a score leaves any of it out.
    [Fact]
    public void A_tokens_only_expert_is_never_dropped()
    {
        var histogram = new ScoreHistogram();
        var plan = new RoutingPlan();
        plan.Reset(tokens: 4, topK: 1);
        plan.Scores.Fill(1);
        histogram.Add(plan);
        Assert.Equal(0, histogram.Rate(new DropThresholds(0.99f, 1)));
    }
}

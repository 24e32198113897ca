using DualSparse.Engine.Moe;
using DualSparse.Models;

namespace DualSparse.Tests.Engine.Moe;

public class RouterRuleTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(-120)]
    [InlineData(1e30f)]
    public void Only_differences_of_logits_count(float offset)
    {
        var moe = new MoeConfig { Experts = 4, TopK = 2, Intermediate = 1, NormTopK = true };
        float[] logits = [offset + 1, offset, offset - 20, offset - 25], weights = new float[2], normalised = new float[2];
        int[] experts = new int[2];
        float first = (float)(1 / (1 + Math.Exp(logits[1] - logits[0])));
        RouterRule.Choose(moe, logits, experts, weights, normalised);
        Assert.Equal([0, 1], experts);
        Assert.Equal(first, weights[0], 1e-5f);
        Assert.Equal(1, weights.Sum(), 1e-5f);
    }
}

using CsCheck;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

public class LogProbsTests
{
    [Fact]
    public void Are_the_logarithm_of_the_softmax_best_first() =>
        Gen.Select(Gen.Float[-30, 30].Array[1, 100], Gen.Int[0, 120]).Sample((logits, count) =>
        {
            double max = logits.Max(), logSum = max + Math.Log(logits.Sum(l => Math.Exp(l - max)));
            int id = logits.Length / 2;
            var (own, best) = new LogProbs(logits.Length).Of(logits, id, count);
            var expected = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(count).ToArray();
            Assert.Equal(expected, best.Select(b => b.Id));
            Assert.Equal(logits[id] - logSum, own, 2e-5);
            Assert.All(best, b => Assert.Equal(logits[b.Id] - logSum, b.LogProb, 2e-5));
        });

    [Fact]
    public void A_forbidden_token_has_none()
    {
        var (own, best) = new LogProbs(2).Of([float.NegativeInfinity, 5], 0, 2);
        Assert.Equal(float.NegativeInfinity, own);
        Assert.Equal([new(1, 0), new(0, float.NegativeInfinity)], best);
    }
}

using DualSparse.Evaluation;

namespace DualSparse.Tests.Evaluation;

/// <summary>Sums of losses against sums in double precision.</summary>
public class LossSumsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1024)]
    [InlineData(2500)] // blocks and a remainder
    public void They_are_what_double_precision_gives(int vocabulary)
    {
        const int rows = 5;
        var random = new Random(vocabulary);
        float[] p = [.. Enumerable.Range(0, rows * vocabulary).Select(_ => 20 * random.NextSingle())], q = [.. p.Select(x => x + random.NextSingle())];
        int[] targets = [.. Enumerable.Range(0, rows).Select(_ => random.Next(vocabulary))];
        var sums = LossSums.Of(p, q, targets, vocabulary);
        double nll = 0, denseNll = 0, kl = 0;
        int flips = 0;
        for (int r = 0; r < rows; r++)
        {
            float[] a = p[(r * vocabulary)..((r + 1) * vocabulary)], b = q[(r * vocabulary)..((r + 1) * vocabulary)];
            double logA = Math.Log(a.Sum(x => Math.Exp(x))), logB = Math.Log(b.Sum(x => Math.Exp(x)));
            denseNll += logA - a[targets[r]];
            nll += logB - b[targets[r]];
            kl += a.Zip(b, (x, y) => Math.Exp(x - logA) * (x - logA - (y - logB))).Sum();
            flips += Array.IndexOf(a, a.Max()) == Array.IndexOf(b, b.Max()) ? 0 : 1;
        }

        Assert.Equal((rows, flips), (sums.Tokens, sums.Flips));
        // A few rounding errors of f32, relative to a sum of exponentials.
        Assert.Equal(denseNll, sums.DenseNll, rows * 1e-6);
        Assert.Equal(nll, sums.Nll, rows * 1e-6);
        Assert.Equal(kl, sums.KullbackLeibler, rows * 1e-6);
    }

    [Fact]
    public void A_run_beside_itself_loses_nothing()
    {
        float[] logits = [.. Enumerable.Range(0, 3000).Select(i => MathF.Sin(i))];
        var sums = LossSums.Of(logits, (float[])logits.Clone(), [3, 1], 1500);
        Assert.Equal((2, 0), (sums.Tokens, sums.Flips));
        Assert.Equal(sums.DenseNll, sums.Nll);
        Assert.InRange(sums.KullbackLeibler, 0, 1e-6);
        Assert.Throws<ArgumentException>(() => LossSums.Of(logits, logits, [0, 0, 0], 1500));
    }
}

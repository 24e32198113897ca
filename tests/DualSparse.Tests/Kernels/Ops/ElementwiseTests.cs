using DualSparse.Kernels.Ops;

namespace DualSparse.Tests.Kernels.Ops;

public class ElementwiseTests
{
    // Half a unit in the last place of a float in [1, 2), relative.
    private const double Epsilon = 1.0 / (1 << 24);

    public static TheoryData<int> Lengths => [.. Enumerable.Range(0, 71)];

    [Fact]
    public void Exp_is_within_two_ulp_everywhere()
    {
        var x = Enumerable.Range(0, 1_000_000).Select(i => -86.9f + i * (88.7f + 86.9f) / 1_000_000).ToArray();
        var y = new float[x.Length];
        Exp.Forward(x, y);
        double worst = x.Zip(y, (a, b) => Math.Abs(b - Math.Exp(a)) / Math.Exp(a)).Max();
        Assert.True(worst < 4 * Epsilon, $"relative error {worst}");
    }

    [Fact]
    public void Exp_at_the_edges()
    {
        float[] x = [0, -0f, float.NegativeInfinity, float.PositiveInfinity, float.NaN, -87, -200, 88.72f, 88.73f, 1e30f, -1e30f];
        var y = new float[x.Length];
        Exp.Forward(x, y);
        Assert.Equal([1, 1, 0, float.PositiveInfinity, float.NaN, 0, 0], y[..7]);
        Assert.True(float.IsFinite(y[7]));
        Assert.Equal([float.PositiveInfinity, float.PositiveInfinity, 0], y[8..]);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void A_result_does_not_depend_on_length_or_place(int length)
    {
        var x = Values(71, 3);
        var u = Values(71, 4);
        float[] exp = new float[71], gated = new float[71], y = new float[length];
        Exp.Forward(x, exp);
        SwiGlu.Forward(x, u, gated);
        Exp.Forward(x.AsSpan(0, length), y);
        Assert.Equal(exp[..length], y);
        SwiGlu.Forward(x.AsSpan(71 - length), u.AsSpan(71 - length), y);
        Assert.Equal(gated[(71 - length)..], y);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void SwiGlu_follows_its_formula(int length)
    {
        float[] g = Values(length, 1), u = Values(length, 2), y = new float[length];
        SwiGlu.Forward(g, u, y);
        for (int i = 0; i < length; i++)
        {
            double expected = g[i] / (1 + Math.Exp(-g[i])) * u[i];
            // e^−g at most 2 ulp off, an addition, a division, a product.
            Assert.Equal(expected, y[i], 7 * Epsilon * Math.Abs(expected));
        }

        SwiGlu.Forward(g, u, g);
        Assert.Equal(y, g);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Softmax_follows_its_formula(int length)
    {
        float[] x = Values(length, 5), y = new float[length];
        Softmax.Forward(x, y);
        double max = length == 0 ? 0 : x.Max();
        double sum = x.Sum(v => Math.Exp(v - max));
        for (int i = 0; i < length; i++)
        {
            double expected = Math.Exp(x[i] - max) / sum;
            // x − max is rounded (|x − max| < 32), then e^x, the sum (all terms positive) and the quotient.
            Assert.Equal(expected, y[i], (32 + 4 + length + 2) * Epsilon * expected);
        }
    }

    [Fact]
    public void Softmax_of_what_has_none_is_NaN()
    {
        foreach (float odd in new[] { float.NaN, float.PositiveInfinity })
        {
            var y = new float[20];
            y[13] = odd;
            Softmax.Forward(y, y);
            Assert.True(float.IsNaN(y[13]));
        }

        float[] none = [float.NegativeInfinity, float.NegativeInfinity];
        Softmax.Forward(none, none);
        Assert.All(none, v => Assert.True(float.IsNaN(v)));
        float[] one = [float.NegativeInfinity, 5];
        Softmax.Forward(one, one);
        Assert.Equal([0f, 1f], one);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void RmsNorm_follows_its_formula(int length)
    {
        float[] x = Values(length, 6), w = Values(length, 7), y = new float[length];
        RmsNorm.Forward(x, w, 1e-5f, y);
        double scale = 1 / Math.Sqrt((length == 0 ? 0 : x.Average(v => (double)v * v)) + (double)1e-5f);
        for (int i = 0; i < length; i++)
        {
            double expected = w[i] * (x[i] * scale);
            // All squares are positive, so the sum of n is off by n roundings at most, its root by half; five operations follow.
            Assert.Equal(expected, y[i], (length / 2.0 + 5) * Epsilon * Math.Abs(expected));
        }
    }

    [Fact]
    public void Lengths_that_differ_are_refused()
    {
        Assert.Throws<ArgumentException>(() => Exp.Forward(new float[3], new float[2]));
        Assert.Throws<ArgumentException>(() => Softmax.Forward(new float[3], new float[2]));
        Assert.Throws<ArgumentException>(() => SwiGlu.Forward(new float[3], new float[2], new float[3]));
        Assert.Throws<ArgumentException>(() => RmsNorm.Forward(new float[3], new float[2], 0, new float[3]));
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 30 - 15))];
    }
}

using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels.Ops;

public unsafe class VisionOpTests
{
    // Sums of n values of size 1 carry √n roundings of 2⁻²⁴; the result is of size 4 at most.
    private const double Tolerance = 4e-6;

    [Fact]
    public void Layer_norm_follows_its_formula_for_every_width()
    {
        using var team = new ThreadTeam(2);
        for (int width = 1; width < 70; width++)
        {
            const int rows = 19;
            var random = new Random(width);
            float[] x = Values(random, rows * width), weight = Values(random, width), bias = Values(random, width), y = new float[x.Length];
            // Far from zero, where a variance by squares alone would cancel.
            for (int i = 0; i < x.Length; i++)
                x[i] += 20;
            fixed (float* from = x, to = y)
                LayerNorm.Forward(team, from, rows, weight, bias, 1e-6f, to);
            for (int r = 0; r < rows; r++)
            {
                double[] row = [.. x.Skip(r * width).Take(width).Select(v => (double)v)];
                double mean = row.Average(), deviation = Math.Sqrt(row.Average(v => (v - mean) * (v - mean)) + 1e-6);
                for (int i = 0; i < width; i++)
                    Assert.Equal(weight[i] * (row[i] - mean) / deviation + bias[i], y[r * width + i], width == 1 ? Tolerance : 20 * Tolerance / Math.Max(deviation, 0.05));
            }
        }
    }

    [Fact]
    public void Layer_norm_refuses_other_lengths() =>
        Assert.Throws<ArgumentException>(() => LayerNorm.Forward([1, 2], [1], [1, 2], 1e-6f, new float[2]));

    [Fact]
    public void Both_forms_of_gelu_follow_their_formulas()
    {
        float[] x = [.. Enumerable.Range(-4000, 8001).Select(i => i / 400f), 100, -100, 0, float.NaN], tanh = [.. x], exact = [.. x];
        Gelu.Tanh(tanh);
        Gelu.Exact(exact);
        // Φ by its integral from 0 in steps of 1/400, Simpson's rule over two halves of each.
        double density(double t) => Math.Exp(-t * t / 2) / Math.Sqrt(2 * Math.PI);
        double[] below = new double[4001];
        for (int i = 1; i <= 4000; i++)
            below[i] = below[i - 1] + (density((i - 1) / 400.0) + 4 * density((i - 0.5) / 400) + density(i / 400.0)) / 2400;
        for (int i = 0; i <= 8000; i++)
        {
            double v = x[i], share = 0.5 + Math.Sign(i - 4000) * below[Math.Abs(i - 4000)];
            Assert.Equal(v * share, exact[i], 2e-7 * Math.Max(1, Math.Abs(v)));
            Assert.Equal(v / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))), tanh[i], 1e-6 * Math.Max(1, Math.Abs(v)));
        }

        Assert.Equal([100, 0, 0, float.NaN], exact[8001..]);
        Assert.Equal([100, 0, 0, float.NaN], tanh[8001..]);
    }

    [Fact]
    public void Gelu_of_many_values_is_that_of_each()
    {
        using var team = new ThreadTeam(3);
        float[] x = Values(new Random(2), 5003);
        foreach (bool exact in new[] { false, true })
        {
            float[] all = [.. x], each = [.. x];
            fixed (float* values = all)
                Gelu.Forward(team, values, all.Length, exact);
            for (int i = 0; i < each.Length; i++)
            {
                if (exact)
                    Gelu.Exact(each.AsSpan(i, 1));
                else
                    Gelu.Tanh(each.AsSpan(i, 1));
                Assert.Equal(each[i], all[i], 1e-6);
            }
        }
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => 4 * random.NextSingle() - 2)];
}

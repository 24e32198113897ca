using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

/// <summary>The operators that only vision towers have, beside central differences in double precision.</summary>
public unsafe class TowerOpTests
{
    [Theory]
    [InlineData(1, 7)]
    [InlineData(5, 24)]
    [InlineData(130, 3)]
    public void Layer_norms_backward_pass_is_the_gradient(int rows, int width)
    {
        const float epsilon = 1e-6f;
        FloatBlock x = FloatBlock.Random(rows * width, 1), dy = FloatBlock.Random(rows * width, 2), weight = FloatBlock.Random(width, 3), bias = FloatBlock.Random(width, 4);
        float[] all = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock dx = new(rows * width), dWeight = new(width), dBias = new(width);
            LayerNormOp.Backward(team, dy.Pointer, x.Pointer, rows, width, weight.Pointer, epsilon, dx.Pointer, dWeight.Pointer, dBias.Pointer);
            return [.. dx.Values, .. dWeight.Values, .. dBias.Values];
        });
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(v, Doubles(weight), Doubles(bias)), x.Values), all.AsSpan(0, rows * width));
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(Doubles(x), v, Doubles(bias)), weight.Values), all.AsSpan(rows * width, width));
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(Doubles(x), Doubles(weight), v), bias.Values), all.AsSpan(rows * width + width));

        double Loss(double[] x, double[] w, double[] b) => x.Chunk(width).Select((row, r) =>
        {
            double mean = row.Average(), deviation = Math.Sqrt(row.Average(v => (v - mean) * (v - mean)) + epsilon);
            return row.Select((v, i) => dy.Values[r * width + i] * (w[i] * (v - mean) / deviation + b[i])).Sum();
        }).Sum();
    }

    [Fact]
    public void Gelus_gradient_by_tanh_is_that_of_its_formula()
    {
        FloatBlock x = FloatBlock.Random(1301, 5, size: 6), dy = FloatBlock.Random(1301, 6);
        float[] dx = Backward(x, dy, exact: false);
        for (int i = 0; i < dx.Length; i++)
            Assert.Equal(dy.Values[i] * Slope(v => v / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))), x.Values[i]), dx[i], 2e-6);
    }

    [Fact]
    public void Gelus_exact_gradient_is_that_of_its_formula()
    {
        FloatBlock x = FloatBlock.Random(1301, 7, size: 6), dy = FloatBlock.Random(1301, 8);
        float[] dx = Backward(x, dy, exact: true);
        for (int i = 0; i < dx.Length; i++)
            Assert.Equal(dy.Values[i] * Slope(v => v * Normal(v), x.Values[i]), dx[i], 2e-6);
    }

    private static float[] Backward(FloatBlock x, FloatBlock dy, bool exact) => GradientCheck.WithAnyThreads(team =>
    {
        FloatBlock d = new(dy.Values);
        GeluOp.Backward(team, d.Pointer, x.Pointer, d.Values.Length, exact);
        return d.Values;
    });

    private static double Slope(Func<double, double> f, double x) => (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;

    // The normal distribution's integral by Simpson's rule.
    private static double Normal(double x)
    {
        const int steps = 400;
        double step = x / steps, sum = 0;
        for (int i = 0; i <= steps; i++)
            sum += (i is 0 or steps ? 1 : i % 2 == 1 ? 4 : 2) * Math.Exp(-(i * step) * (i * step) / 2);
        return 0.5 + sum * step / 3 / Math.Sqrt(2 * Math.PI);
    }

    private static double[] Doubles(FloatBlock block) => [.. block.Values.Select(v => (double)v)];
}

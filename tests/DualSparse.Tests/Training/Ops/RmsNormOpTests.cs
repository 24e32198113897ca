using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class RmsNormOpTests
{
    private const float Epsilon = 1e-5f;

    // Whole rows of an odd width, heads inside wider rows, more tokens than one chunk.
    public static TheoryData<int, int, int> Shapes => new() { { 70, 1, 37 }, { 66, 3, 16 }, { 1, 2, 64 }, { 3, 1, 5 }, { 129, 1, 8 } };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_gives_the_engines_bits(int tokens, int heads, int width)
    {
        int stride = heads * width + 5;
        FloatBlock x = FloatBlock.Random(tokens * stride, 1), weight = FloatBlock.Random(width, 2);
        float[] result = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock y = new(tokens * heads * width), inverse = new(tokens * heads);
            RmsNormOp.Forward(
                team, new HeadRows(x.Pointer, stride, width), tokens, heads, width, weight.Pointer, Epsilon, new HeadRows(y.Pointer, heads * width, width), inverse.Pointer);
            return [.. y.Values, .. inverse.Values];
        });
        var expected = new float[width];
        for (int row = 0; row < tokens * heads; row++)
        {
            var values = x.Values.AsSpan(row / heads * stride + row % heads * width, width);
            RmsNorm.Forward(values, weight.Values, Epsilon, expected);
            Assert.Equal(expected, result[(row * width)..((row + 1) * width)]);
            Assert.Equal(1 / Math.Sqrt(MeanSquare(Doubles(values)) + Epsilon), result[tokens * heads * width + row], 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_is_the_gradient(int tokens, int heads, int width)
    {
        int count = tokens * heads * width;
        FloatBlock x = FloatBlock.Random(count, 3), weight = FloatBlock.Random(width, 4), dy = FloatBlock.Random(count, 5);
        float[] overwritten = GradientCheck.WithAnyThreads(team => Run(team, dy, add: false));
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(v, Doubles(weight.Values)), x.Values), overwritten.AsSpan(0, count));
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(Doubles(x.Values), v), weight.Values), overwritten.AsSpan(count));

        // Added to what was there: −dx and −dw leave nothing.
        float[] added = GradientCheck.WithAnyThreads(team => Run(team, dy, add: true, Array.ConvertAll(overwritten, v => -v)));
        Assert.All(added[..count], v => Assert.Equal(0, v));
        Assert.All(added[count..], v => Assert.Equal(0, v, 1e-4));

        float[] Run(ThreadTeam team, FloatBlock dy, bool add, float[]? before = null)
        {
            FloatBlock y = new(count), inverse = new(tokens * heads);
            FloatBlock dx = before is null ? FloatBlock.Random(count, 6) : new(before.AsSpan(0, count));
            FloatBlock dWeight = before is null ? new(width) : new(before.AsSpan(count));
            HeadRows rows = new(x.Pointer, heads * width, width);
            RmsNormOp.Forward(team, rows, tokens, heads, width, weight.Pointer, Epsilon, new HeadRows(y.Pointer, heads * width, width), inverse.Pointer);
            RmsNormOp.Backward(
                team, new HeadRows(dy.Pointer, heads * width, width), rows, inverse.Pointer, weight.Pointer, tokens, heads, width,
                new HeadRows(dx.Pointer, heads * width, width), add, dWeight.Pointer);
            return [.. dx.Values, .. dWeight.Values];
        }

        double Loss(double[] x, double[] w)
        {
            double loss = 0;
            for (int row = 0; row < tokens * heads; row++)
            {
                double scale = 1 / Math.Sqrt(MeanSquare(x.AsSpan(row * width, width)) + Epsilon);
                for (int i = 0; i < width; i++)
                    loss += dy.Values[row * width + i] * w[i] * x[row * width + i] * scale;
            }

            return loss;
        }
    }

    private static double MeanSquare(ReadOnlySpan<double> x)
    {
        double sum = 0;
        foreach (double v in x)
            sum += v * v;
        return sum / x.Length;
    }

    private static double[] Doubles(ReadOnlySpan<float> x) => Array.ConvertAll(x.ToArray(), v => (double)v);
}

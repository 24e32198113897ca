using DualSparse.Kernels.Ops;
using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class RopeOpTests
{
    private const int Windows = 3, Length = 25, Heads = 3, HeadSize = 20, Stride = Heads * HeadSize + 4;
    private const float Factor = 1.25f;

    // Sixteen of a head's twenty values are rotated, by a vector at a time where the layout has one.
    private static readonly float[] s_frequencies = [.. Enumerable.Range(0, 8).Select(i => MathF.Pow(100, -i / 8f))];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Forward_is_the_engines_rotation_with_positions_of_each_window(bool interleaved)
    {
        var x = FloatBlock.Random(Windows * Length * Stride, 1);
        var rope = new Rope(s_frequencies, Factor, interleaved);
        float[] y = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock copy = new(x.Values);
            RopeOp.Forward(team, rope, new HeadRows(copy.Pointer, Stride, HeadSize), Windows, Length, Heads, HeadSize);
            return copy.Values;
        });
        var expected = x.Values.ToArray();
        for (int t = 0; t < Windows * Length; t++)
        {
            for (int h = 0; h < Heads; h++)
                rope.Rotate(expected.AsSpan(t * Stride + h * HeadSize, HeadSize), t % Length);
        }

        Assert.Equal(expected, y);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Backward_is_the_gradient(bool interleaved)
    {
        const int windows = 2, length = 5;
        FloatBlock x = FloatBlock.Random(windows * length * Stride, 2), dy = FloatBlock.Random(windows * length * Stride, 3);
        float[] dx = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock d = new(dy.Values);
            RopeOp.Backward(team, new Rope(s_frequencies, Factor, interleaved), new HeadRows(d.Pointer, Stride, HeadSize), windows, length, Heads, HeadSize);
            return d.Values;
        });
        GradientCheck.Near(GradientCheck.Numeric(Loss, x.Values), dx);

        double Loss(double[] x)
        {
            var y = x.ToArray();
            for (int t = 0; t < windows * length; t++)
            {
                for (int h = 0; h < Heads; h++)
                {
                    for (int i = 0; i < s_frequencies.Length; i++)
                    {
                        int head = t * Stride + h * HeadSize;
                        var (a, b) = interleaved ? (head + 2 * i, head + 2 * i + 1) : (head + i, head + i + s_frequencies.Length);
                        double angle = t % length * s_frequencies[i];
                        y[a] = Factor * (x[a] * Math.Cos(angle) - x[b] * Math.Sin(angle));
                        y[b] = Factor * (x[b] * Math.Cos(angle) + x[a] * Math.Sin(angle));
                    }
                }
            }

            return y.Zip(dy.Values, (v, d) => v * d).Sum();
        }
    }
}

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
            RopeOp.Forward(team, rope, new HeadRows(copy.Pointer, Stride, HeadSize), Places(Windows, Length), Heads, HeadSize);
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
            RopeOp.Backward(team, new Rope(s_frequencies, Factor, interleaved), new HeadRows(d.Pointer, Stride, HeadSize), Places(windows, length), Heads, HeadSize);
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

    [Fact]
    public void Pairs_of_a_picture_turn_by_its_rows_and_columns_and_back()
    {
        GridAxis[] axes = [.. Enumerable.Range(0, 8).Select(pair => (GridAxis)(pair % 3))];
        var rope = new Rope(s_frequencies, axes: axes);
        GridPlace[] places = [new(7, 9, 11), new(7, 9, 12), GridPlace.OfText(13)];
        var x = FloatBlock.Random(places.Length * Stride, 4);
        float[] turned = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock copy = new(x.Values);
            RopeOp.Forward(team, rope, new HeadRows(copy.Pointer, Stride, HeadSize), places, Heads, HeadSize);
            return copy.Values;
        });
        for (int t = 0; t < places.Length; t++)
        {
            for (int pair = 0; pair < 8; pair++)
            {
                int a = t * Stride + HeadSize + pair, b = a + 8;
                double angle = places[t].On(axes[pair]) * (double)s_frequencies[pair];
                Assert.Equal(x.Values[a] * Math.Cos(angle) - x.Values[b] * Math.Sin(angle), turned[a], 1e-5);
                Assert.Equal(x.Values[b] * Math.Cos(angle) + x.Values[a] * Math.Sin(angle), turned[b], 1e-5);
            }
        }

        float[] back = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock copy = new(turned);
            RopeOp.Backward(team, rope, new HeadRows(copy.Pointer, Stride, HeadSize), places, Heads, HeadSize);
            return copy.Values;
        });
        for (int i = 0; i < back.Length; i++)
            Assert.Equal(x.Values[i], back[i], 1e-5);
    }

    private static GridPlace[] Places(int windows, int length) => [.. Enumerable.Range(0, windows * length).Select(t => GridPlace.OfText(t % length))];
}

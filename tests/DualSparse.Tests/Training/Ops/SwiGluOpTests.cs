using DualSparse.Kernels.Ops;
using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class SwiGluOpTests
{
    private const int Rows = 3;

    public static TheoryData<int> Widths => [.. Enumerable.Range(0, 36)];

    [Theory]
    [MemberData(nameof(Widths))]
    public void Forward_gives_the_engines_bits(int width)
    {
        FloatBlock gate = FloatBlock.Random(Rows * (width + 3), 1, 8), up = FloatBlock.Random(Rows * (width + 3), 2), h = new(Rows * (width + 1));
        SwiGluOp.Forward(gate.Pointer, up.Pointer, width + 3, Rows, width, h.Pointer, width + 1);
        var expected = new float[width];
        for (int r = 0; r < Rows; r++)
        {
            SwiGlu.Forward(gate.Values.AsSpan(r * (width + 3), width), up.Values.AsSpan(r * (width + 3), width), expected);
            Assert.Equal(expected, h.Values.AsSpan(r * (width + 1), width).ToArray());
            Assert.Equal(0, h.Values[r * (width + 1) + width]);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Backward_is_the_gradient(int width)
    {
        int stride = width + 3, count = Rows * stride;
        FloatBlock gate = FloatBlock.Random(count, 3, 8), up = FloatBlock.Random(count, 4), dh = FloatBlock.Random(Rows * (width + 1), 5);
        FloatBlock dGate = new(count), dUp = new(count);
        SwiGluOp.Backward(dh.Pointer, width + 1, gate.Pointer, up.Pointer, stride, Rows, width, dGate.Pointer, dUp.Pointer, stride);
        GradientCheck.Near(GradientCheck.Numeric(g => Loss(i => g[i], i => up.Values[i]), gate.Values), dGate.Values);
        GradientCheck.Near(GradientCheck.Numeric(u => Loss(i => gate.Values[i], i => u[i]), up.Values), dUp.Values);

        // In place of what they are gradients of.
        SwiGluOp.Backward(dh.Pointer, width + 1, gate.Pointer, up.Pointer, stride, Rows, width, gate.Pointer, up.Pointer, stride);
        for (int i = 0; i < count; i++)
        {
            if (i % stride < width)
                Assert.Equal((dGate.Values[i], dUp.Values[i]), (gate.Values[i], up.Values[i]));
        }

        double Loss(Func<int, double> g, Func<int, double> u)
        {
            double loss = 0;
            for (int i = 0; i < count; i++)
            {
                if (i % stride < width)
                    loss += dh.Values[i / stride * (width + 1) + i % stride] * u(i) * g(i) / (1 + Math.Exp(-g(i)));
            }

            return loss;
        }
    }

    [Fact]
    public void Gates_far_out_have_the_gradients_of_their_limits()
    {
        FloatBlock gate = new([-300, -95, 95, 300]), up = new([2, 2, 2, 2]), dh = new([1, 1, 1, 1]), dGate = new(4), dUp = new(4);
        SwiGluOp.Backward(dh.Pointer, 4, gate.Pointer, up.Pointer, 4, 1, 4, dGate.Pointer, dUp.Pointer, 4);
        Assert.Equal([0f, 0, 2, 2], dGate.Values);
        Assert.Equal([0f, 0, 95, 300], dUp.Values);
    }
}

using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class SigmoidGateTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 21)]
    [InlineData(70, 8)]
    public void Forward_adds_and_backward_is_the_gradient(int rows, int width)
    {
        FloatBlock logits = FloatBlock.Random(rows, 1, 4), s = FloatBlock.Random(rows * width, 2), dy = FloatBlock.Random(rows * width, 3);
        var y = FloatBlock.Random(rows * width, 4);
        float[] result = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock sum = new(y.Values), gates = new(rows), ds = new(rows * width), dLogits = new(rows);
            SigmoidGate.Forward(team, logits.Pointer, s.Pointer, rows, width, gates.Pointer, sum.Pointer);
            SigmoidGate.Backward(team, dy.Pointer, s.Pointer, gates.Pointer, rows, width, ds.Pointer, dLogits.Pointer);
            return [.. sum.Values, .. ds.Values, .. dLogits.Values];
        });
        for (int i = 0; i < rows * width; i++)
            Assert.Equal(y.Values[i] + s.Values[i] / (1 + Math.Exp(-logits.Values[i / width])), result[i], 1e-6);
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(i => v[i], i => logits.Values[i]), s.Values), result.AsSpan(rows * width, rows * width));
        GradientCheck.Near(GradientCheck.Numeric(v => Loss(i => s.Values[i], i => v[i]), logits.Values), result.AsSpan(2 * rows * width));

        double Loss(Func<int, double> s, Func<int, double> logit) =>
            Enumerable.Range(0, rows * width).Sum(i => dy.Values[i] * s(i) / (1 + Math.Exp(-logit(i / width))));
    }
}

using DualSparse.Kernels.Threading;
using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class CrossEntropyTests
{
    private const float Scale = 0.25f;

    // The last is more than is summed in single precision at once, and no multiple of a vector.
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(61)]
    [InlineData(1050)]
    public void Backward_is_the_gradient_of_forward(int vocabulary)
    {
        int[] targets = [vocabulary / 2, -1, vocabulary - 1, 0, 0, -100, vocabulary / 3];
        var logits = FloatBlock.Random(targets.Length * vocabulary, 1, 6);
        double loss = 0;
        float[] gradient = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock copy = new(logits.Values);
            loss = CrossEntropy.Forward(team, copy.Pointer, vocabulary, targets);
            Assert.Equal(logits.Values, copy.Values);
            Assert.Equal(loss, CrossEntropy.Backward(team, copy.Pointer, vocabulary, targets, Scale));
            return copy.Values;
        });
        var x = Array.ConvertAll(logits.Values, v => (double)v);
        double expected = Enumerable.Range(0, targets.Length).Sum(r => Row(x.AsSpan(r * vocabulary, vocabulary), targets[r]));
        Assert.Equal(expected, loss, 1e-6 * targets.Length);
        for (int r = 0; r < targets.Length; r++)
        {
            // A row at a time: a large vocabulary's differences take long enough.
            int target = targets[r];
            var row = logits.Values.AsSpan(r * vocabulary, vocabulary);
            GradientCheck.Near(GradientCheck.Numeric(v => Scale * Row(v, target), row), gradient.AsSpan(r * vocabulary, vocabulary));
        }
    }

    [Fact]
    public void Rows_without_targets_have_neither_loss_nor_gradient()
    {
        using var team = new ThreadTeam(1);
        FloatBlock logits = new([float.NaN, 1, 2, float.PositiveInfinity]);
        Assert.Equal(0, CrossEntropy.Backward(team, logits.Pointer, 2, new[] { -1, -1 }, 1));
        Assert.Equal([0f, 0, 0, 0], logits.Values);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_has_no_loss_is_NaN(float odd)
    {
        using var team = new ThreadTeam(1);
        var logits = FloatBlock.Random(30, 2);
        logits.Values[11] = odd;
        Assert.True(double.IsNaN(CrossEntropy.Forward(team, logits.Pointer, 30, new[] { 3 })));
    }

    [Fact]
    public void Large_logits_lose_nothing()
    {
        using var team = new ThreadTeam(1);
        FloatBlock logits = new([1000, 999, -1000]);
        Assert.Equal(Math.Log(1 + Math.Exp(-1)), CrossEntropy.Forward(team, logits.Pointer, 3, new[] { 0 }), 1e-7);
        Assert.Equal(2000 + Math.Log(1 + Math.Exp(-1)), CrossEntropy.Forward(team, logits.Pointer, 3, new[] { 2 }), 1e-7);
    }

    private static double Row(ReadOnlySpan<double> logits, int target)
    {
        if (target < 0)
            return 0;
        double max = double.NegativeInfinity, sum = 0;
        foreach (double v in logits)
            max = Math.Max(max, v);
        foreach (double v in logits)
            sum += Math.Exp(v - max);
        return max + Math.Log(sum) - logits[target];
    }
}

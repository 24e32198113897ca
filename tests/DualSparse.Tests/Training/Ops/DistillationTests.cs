using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class DistillationTests
{
    [Theory]
    [InlineData(3, 5)]
    [InlineData(9, 67)]
    public void The_divergence_and_its_gradient_are_the_formulas(int rows, int vocabulary)
    {
        var logits = FloatBlock.Random(rows * vocabulary, 1);
        float[] teacher = [.. FloatBlock.Random(rows * vocabulary, 2).Values.Select(value => 3 * value)], before = [.. logits.Values];
        int[] targets = [.. Enumerable.Range(0, rows).Select(row => row == 1 ? -1 : 0)];
        using var team = new DualSparse.Kernels.Threading.ThreadTeam(2);
        double found = Distillation.Backward(team, logits.Pointer, vocabulary, teacher, targets, 0.5f), expected = 0;
        for (int row = 0; row < rows; row++)
        {
            double[] p = Softmax(teacher.AsSpan(row * vocabulary, vocabulary)), q = Softmax(before.AsSpan(row * vocabulary, vocabulary));
            for (int i = 0; i < vocabulary; i++)
            {
                expected += row == 1 ? 0 : p[i] * Math.Log(p[i] / q[i]);
                Assert.Equal(row == 1 ? 0 : 0.5 * (q[i] - p[i]), logits.Pointer[row * vocabulary + i], 1e-6);
            }
        }

        Assert.Equal(expected, found, 1e-5 * expected);
    }

    private static double[] Softmax(ReadOnlySpan<float> x)
    {
        double[] e = [.. x.ToArray().Select(value => Math.Exp(value))];
        return [.. e.Select(value => value / e.Sum())];
    }
}

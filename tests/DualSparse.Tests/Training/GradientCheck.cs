using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Training;

/// <summary>What gradients are compared with.</summary>
internal static class GradientCheck
{
    // Central differences in double are off by about step² and 10⁻¹⁶ / step.
    private const double Step = 1e-5;

    // Some tens of roundings in f32, whose errors don't all point the same way.
    private const double Tolerance = 2e-6;

    /// <summary>The gradient of a function in double precision, by central differences.</summary>
    public static double[] Numeric(Func<double[], double> loss, ReadOnlySpan<float> at)
    {
        var x = new double[at.Length];
        for (int i = 0; i < x.Length; i++)
            x[i] = at[i];
        var gradient = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            double center = x[i];
            x[i] = center + Step;
            double above = loss(x);
            x[i] = center - Step;
            gradient[i] = (above - loss(x)) / (2 * Step);
            x[i] = center;
        }

        return gradient;
    }

    /// <summary>‖actual − expected‖ ≤ tolerance · ‖expected‖, and a little for what differences lose.</summary>
    public static void Near(double[] expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = 0, norm = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(float.IsFinite(actual[i]), $"element {i} is {actual[i]}");
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            norm += expected[i] * expected[i];
        }

        Assert.True(Math.Sqrt(difference) <= Tolerance * Math.Sqrt(norm) + 1e-9 * Math.Sqrt(expected.Length), $"difference {Math.Sqrt(difference)} of norm {Math.Sqrt(norm)}");
    }

    /// <summary>The result of 1 thread, after 2 and 3 have given the same bits.</summary>
    public static float[] WithAnyThreads(Func<ThreadTeam, float[]> run)
    {
        using ThreadTeam one = new(1), two = new(2), three = new(3);
        float[] result = run(one);
        Assert.Equal(Bits(result), Bits(run(two)));
        Assert.Equal(Bits(result), Bits(run(three)));
        return result;
    }

    private static int[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToInt32Bits);
}

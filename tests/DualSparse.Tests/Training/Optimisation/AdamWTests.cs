using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training;
using DualSparse.Training.Optimisation;

namespace DualSparse.Tests.Training.Optimisation;

public unsafe class AdamWTests
{
    private const int Steps = 5;
    private const double Rate = 1e-2, Scale = 0.5;

    [Fact]
    public void Steps_follow_the_formula_and_any_threads_give_the_same_bits()
    {
        var options = new AdamWOptions { Beta1 = 0.8, Beta2 = 0.9, Epsilon = 1e-4, WeightDecay = 0.2 };
        var config = ModelConfig.Load(TestPaths.Golden("olmoe"));
        float[] values = [];
        bool[] decays = [];
        bool[] gaps = [];
        float[] result = GradientCheck.WithAnyThreads(team =>
        {
            using var parameters = new ParameterSet(config, TrainingParts.Whole);
            int length = (int)parameters.Length;
            (decays, gaps) = (new bool[length], new bool[length]);
            Array.Fill(gaps, true);
            foreach (var parameter in parameters.All)
            {
                FloatBlock.Random((int)parameter.Count, (int)parameter.Offset).Values.CopyTo(parameters.ValuesOf(parameter));
                Array.Fill(decays, parameter.Decays, (int)parameter.Offset, (int)parameter.Count);
                Array.Fill(gaps, false, (int)parameter.Offset, (int)parameter.Count);
            }

            values = [.. new ReadOnlySpan<float>(parameters.Values, length)];
            using var optimizer = new AdamW(parameters, options);
            for (int step = 0; step < Steps; step++)
            {
                float[] gradients = Gradients(step, gaps);
                gradients.CopyTo(new Span<float>(parameters.Gradients, length));
                optimizer.Step(team, Rate, Scale);
                Assert.Equal(gradients, new ReadOnlySpan<float>(parameters.Gradients, length).ToArray());
            }

            Assert.Equal(Steps, optimizer.Steps);
            return [.. new ReadOnlySpan<float>(parameters.Values, length)];
        });
        Assert.Contains(false, decays);
        double[] expected = Reference(options, values, decays, gaps);
        for (int i = 0; i < expected.Length; i++)
        {
            if (Math.Abs(expected[i] - result[i]) > 1e-6)
                Assert.Fail($"element {i}: expected {expected[i]}, found {result[i]}");
            if (gaps[i] && result[i] != 0)
                Assert.Fail($"element {i} lies between tensors, and is {result[i]}");
        }
    }

    [Fact]
    public void A_run_that_goes_on_has_the_same_bits()
    {
        var config = ModelConfig.Load(TestPaths.Golden("olmoe"));
        using var team = new ThreadTeam(1);
        using ParameterSet whole = new(config, TrainingParts.Whole), parts = new(config, TrainingParts.Whole);
        using AdamW one = new(whole, new AdamWOptions()), first = new(parts, new AdamWOptions()), second = new(parts, new AdamWOptions());
        var gaps = new bool[whole.Length];
        for (int step = 0; step < 4; step++)
        {
            float[] gradients = Gradients(step, gaps);
            gradients.CopyTo(new Span<float>(whole.Gradients, gradients.Length));
            gradients.CopyTo(new Span<float>(parts.Gradients, gradients.Length));
            one.Step(team, Rate);
            if (step == 2)
            {
                new ReadOnlySpan<float>(first.Means, gaps.Length).CopyTo(new Span<float>(second.Means, gaps.Length));
                new ReadOnlySpan<float>(first.Squares, gaps.Length).CopyTo(new Span<float>(second.Squares, gaps.Length));
                second.Steps = first.Steps;
            }

            (step < 2 ? first : second).Step(team, Rate);
        }

        Assert.True(new ReadOnlySpan<float>(whole.Values, gaps.Length).SequenceEqual(new ReadOnlySpan<float>(parts.Values, gaps.Length)));
    }

    // Of very different sizes, so that the root's ε counts, too.
    private static float[] Gradients(int step, bool[] gaps)
    {
        var gradients = FloatBlock.Random(gaps.Length, 100 + step).Values;
        for (int i = 0; i < gaps.Length; i++)
            gradients[i] = gaps[i] ? 0 : gradients[i] * (i % 3 == 0 ? 1e-4f : 1);
        return gradients;
    }

    private static double[] Reference(AdamWOptions o, float[] values, bool[] decays, bool[] gaps)
    {
        var p = Array.ConvertAll(values, v => (double)v);
        double[] m = new double[p.Length], v = new double[p.Length];
        for (int t = 1; t <= Steps; t++)
        {
            float[] gradients = Gradients(t - 1, gaps);
            for (int i = 0; i < p.Length; i++)
            {
                double g = gradients[i] * Scale;
                if (decays[i])
                    p[i] *= 1 - Rate * o.WeightDecay;
                m[i] = o.Beta1 * m[i] + (1 - o.Beta1) * g;
                v[i] = o.Beta2 * v[i] + (1 - o.Beta2) * g * g;
                p[i] -= Rate / (1 - Math.Pow(o.Beta1, t)) * m[i] / (Math.Sqrt(v[i]) / Math.Sqrt(1 - Math.Pow(o.Beta2, t)) + o.Epsilon);
            }
        }

        return p;
    }
}

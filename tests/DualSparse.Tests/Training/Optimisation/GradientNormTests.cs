using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training;
using DualSparse.Training.Optimisation;

namespace DualSparse.Tests.Training.Optimisation;

public class GradientNormTests
{
    [Fact]
    public void Norm_is_the_root_of_the_sum_of_squares_whatever_the_threads()
    {
        using var set = new ParameterSet(ModelConfig.Load(TestPaths.Golden("mixtral")), TrainingParts.Whole);
        var random = new Random(1);
        double expected = 0;
        foreach (var parameter in set.All)
        {
            foreach (ref float g in set.GradientOf(parameter))
            {
                g = (float)(random.NextDouble() - 0.5);
                expected += (double)g * g;
            }
        }

        double? norm = null;
        foreach (int threads in new[] { 1, 2, 5 })
        {
            using var team = new ThreadTeam(threads);
            norm ??= GradientNorm.Of(team, set);
            Assert.Equal(norm, GradientNorm.Of(team, set));
        }

        Assert.Equal(Math.Sqrt(expected), norm!.Value, 1e-12 * Math.Sqrt(expected));
    }

    [Fact]
    public void Clipping_only_shrinks()
    {
        Assert.Equal(1, GradientNorm.ClippingFactor(0, 1));
        Assert.Equal(1, GradientNorm.ClippingFactor(0.9, 1));
        Assert.Equal(2 / (5 + 1e-6), GradientNorm.ClippingFactor(5, 2));
        Assert.Equal(1, GradientNorm.ClippingFactor(5, double.PositiveInfinity));
        Assert.True(double.IsNaN(GradientNorm.ClippingFactor(double.NaN, 1)));
    }
}

using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary>A whole model's gradients beside central differences of the loss in double precision.</summary>
internal static class CentralDifferences
{
    // Elements of a tensor that are differentiated alone; all of them together are along one direction.
    private const int Elements = 6;

    private const double Step = 1e-5;

    /// <summary>Compares the gradients of all tensors at random values.</summary>
    public static void Check(ModelConfig config, WindowBatch batch, LossCoefficients coefficients)
    {
        using var team = new ThreadTeam(2);
        using var model = new TrainableModel(config, team, ProductFormat.F32);
        var values = Fill(model.Parameters);
        model.ValuesChanged();
        var losses = model.Backward(batch, coefficients);
        var reference = new ReferenceLoss(config, values);
        Assert.Equal(reference.Of(batch, coefficients), losses.Total(coefficients), 2e-6);

        var random = new Random(3);
        foreach (var parameter in model.Parameters.All)
        {
            double[] at = values[parameter.Name], gradient = [.. model.Parameters.GradientOf(parameter).ToArray().Select(g => (double)g)];
            double norm = Math.Sqrt(gradient.Sum(g => g * g)), tolerance = 1e-4 * norm + 1e-7;
            double[] signs = [.. at.Select(_ => random.Next(2) * 2.0 - 1)];
            double along = Enumerable.Range(0, at.Length).Sum(i => signs[i] * gradient[i]);
            Near(Slope(at, signs), along, Math.Sqrt(at.Length) * tolerance, $"{parameter.Name} along a direction");
            for (int n = 0; n < Elements; n++)
            {
                // The largest, and then any.
                int element = n == 0 ? Array.IndexOf(gradient, gradient.MaxBy(Math.Abs)) : random.Next(at.Length);
                double[] one = new double[at.Length];
                one[element] = 1;
                Near(Slope(at, one), gradient[element], tolerance, $"{parameter.Name}[{element}]");
            }
        }

        double Slope(double[] at, double[] direction)
        {
            double[] center = [.. at];
            double Moved(double by)
            {
                for (int i = 0; i < at.Length; i++)
                    at[i] = center[i] + by * direction[i];
                return reference.Of(batch, coefficients);
            }

            double slope = (Moved(Step) - Moved(-Step)) / (2 * Step);
            center.CopyTo(at, 0);
            return slope;
        }
    }

    private static void Near(double expected, double actual, double tolerance, string where) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance, $"{where}: {actual}, expected {expected} ± {tolerance}");

    // Random values, norms about 1, routers so that a token's experts differ in weight; in double precision the same numbers.
    private static Dictionary<string, double[]> Fill(ParameterSet parameters)
    {
        var random = new Random(11);
        Dictionary<string, double[]> values = [];
        foreach (var parameter in parameters.All)
        {
            bool vector = parameter.Shape.Length == 1, norm = vector && parameter.Name.Contains("norm", StringComparison.Ordinal);
            double scale = vector ? 0.2 : 1 / Math.Sqrt(parameter.Shape[1]) * (parameter.Name.EndsWith("gate.weight", StringComparison.Ordinal) ? 3 : 1);
            var span = parameters.ValuesOf(parameter);
            foreach (ref float value in span)
                value = (float)((random.NextDouble() * 2 - 1) * 1.7 * scale + (norm ? 1 : 0));
            values.Add(parameter.Name, [.. span.ToArray().Select(v => (double)v)]);
        }

        return values;
    }
}

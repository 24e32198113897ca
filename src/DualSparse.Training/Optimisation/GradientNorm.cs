using System.Numerics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Optimisation;

/// <summary>The length of all gradients as one vector, and the factor that limits it.</summary>
internal static unsafe class GradientNorm
{
    // What torch.nn.utils.clip_grad_norm_ adds to the norm before it divides.
    private const double Guard = 1e-6;

    /// <summary>Σ g² of each tensor, in double: pieces are added in order, whatever the threads.</summary>
    /// <returns>[<see cref="ParameterSet.All"/>]; 0 of tensors that this process doesn't have.</returns>
    public static double[] Squares(ThreadTeam team, ParameterSet set)
    {
        var sums = new double[set.Chunks.Count];
        team.For(sums.Length, (item, _) => sums[item] = Squares(set.Gradients + set.Chunks[item].First, set.Chunks[item].Count));
        var squares = new double[set.All.Count];
        for (int i = 0; i < sums.Length; i++)
            squares[set.Chunks[i].Tensor] += sums[i];
        return squares;
    }

    /// <summary>√Σ g² of a set of which this process has all.</summary>
    public static double Of(ThreadTeam team, ParameterSet set) => Of(Squares(team, set));

    /// <summary>The norm from each tensor's Σ g².</summary>
    public static double Of(double[] squares)
    {
        double sum = 0;
        foreach (double tensor in squares)
            sum += tensor;
        return Math.Sqrt(sum);
    }

    /// <summary>What gradients are multiplied with so that their norm is at most <paramref name="limit"/>: min(1, limit / (norm + 10⁻⁶)). NaN for a NaN.</summary>
    public static double ClippingFactor(double norm, double limit) => Math.Min(1, limit / (norm + Guard));

    // Four chains hide the latency of the additions.
    private static double Squares(float* g, int count)
    {
        int step = Vector<float>.Count;
        Vector<double> a = default, b = default, c = default, d = default;
        int i = 0;
        for (; i + 2 * step <= count; i += 2 * step)
        {
            var (even, odd) = (Vector.Load(g + i), Vector.Load(g + i + step));
            a += Square(Vector.WidenLower(even));
            b += Square(Vector.WidenUpper(even));
            c += Square(Vector.WidenLower(odd));
            d += Square(Vector.WidenUpper(odd));
        }

        double sum = Vector.Sum(a + b + (c + d));
        for (; i < count; i++)
            sum += (double)g[i] * g[i];
        return sum;
    }

    private static Vector<double> Square(Vector<double> v) => v * v;
}

using System.Numerics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Optimisation;

/// <summary>The length of all gradients as one vector, and the factor that limits it.</summary>
internal static unsafe class GradientNorm
{
    // Elements that one thread adds up at a time; the sums of chunks are added in order, whatever the threads.
    private const int ChunkLength = 1 << 15;

    // What torch.nn.utils.clip_grad_norm_ adds to the norm before it divides.
    private const double Guard = 1e-6;

    /// <summary>√Σ g², in double.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="gradients">[length] f32.</param>
    /// <param name="length">Elements.</param>
    public static double Of(ThreadTeam team, float* gradients, long length)
    {
        var sums = new double[checked((int)((length + ChunkLength - 1) / ChunkLength))];
        team.For(sums.Length, (item, _) =>
        {
            long first = (long)item * ChunkLength;
            sums[item] = Squares(gradients + first, (int)Math.Min(ChunkLength, length - first));
        });
        double sum = 0;
        foreach (double part in sums)
            sum += part;
        return Math.Sqrt(sum);
    }

    /// <summary>The same of all gradients of a set.</summary>
    public static double Of(ThreadTeam team, ParameterSet parameters) => Of(team, parameters.Gradients, parameters.Length);

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

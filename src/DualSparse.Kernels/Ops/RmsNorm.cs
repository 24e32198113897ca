using System.Numerics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Ops;

/// <summary>Root-mean-square normalisation.</summary>
internal static unsafe class RmsNorm
{
    // Rows normalised by one thread at a time: a few microseconds.
    private const int RowsPerItem = 8;

    /// <summary>y = w ⊙ x / √(mean(x²) + ε), in f32, summed in one order for each width.</summary>
    /// <param name="x">[D]. A NaN makes the row NaN; an infinity becomes NaN and the rest of its row 0.</param>
    /// <param name="weight">[D].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[D], overwritten; may be <paramref name="x"/> itself.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Forward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, Span<float> y)
    {
        if (x.Length != weight.Length || x.Length != y.Length)
            throw new ArgumentException($"expected equal lengths, found x {x.Length}, weight {weight.Length}, y {y.Length}");
        Forward(x, weight, SumOfSquares(x) / x.Length, epsilon, y);
    }

    /// <summary>The same with a mean of squares that is known: x may be a part of a wider row.</summary>
    /// <param name="x">[D].</param>
    /// <param name="weight">[D].</param>
    /// <param name="meanSquare">mean(x²) over the whole row.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[D], overwritten; may be <paramref name="x"/> itself.</param>
    public static void Forward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float meanSquare, float epsilon, Span<float> y)
    {
        float scale = 1 / MathF.Sqrt(meanSquare + epsilon);
        var scales = new Vector<float>(scale);
        int i = 0;
        for (; i + Vector<float>.Count <= x.Length; i += Vector<float>.Count)
            (new Vector<float>(weight[i..]) * (new Vector<float>(x[i..]) * scales)).CopyTo(y[i..]);
        for (; i < x.Length; i++)
            y[i] = weight[i] * (x[i] * scale);
    }

    /// <summary>Normalises rows on all threads.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="x">[rows, D] f32.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="weight">[D].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[rows, D] f32, overwritten; may be <paramref name="x"/> itself, with its stride.</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    public static void Forward(ThreadTeam team, float* x, int rows, nint xStride, float[] weight, float epsilon, float* y, nint yStride) =>
        team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(rows, (item + 1) * RowsPerItem); r++)
                Forward(new ReadOnlySpan<float>(x + r * xStride, weight.Length), weight, epsilon, new Span<float>(y + r * yStride, weight.Length));
        });

    /// <summary>Σ x², in one order for each width; two chains of vectors hide the latency of the additions.</summary>
    public static float SumOfSquares(ReadOnlySpan<float> x)
    {
        int width = Vector<float>.Count;
        Vector<float> even = default, odd = default;
        int i = 0;
        for (; i + 2 * width <= x.Length; i += 2 * width)
        {
            var a = new Vector<float>(x[i..]);
            var b = new Vector<float>(x[(i + width)..]);
            even += a * a;
            odd += b * b;
        }

        float sum = Vector.Sum(even + odd);
        for (; i < x.Length; i++)
            sum += x[i] * x[i];
        return sum;
    }
}

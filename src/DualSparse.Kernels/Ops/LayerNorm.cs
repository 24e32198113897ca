using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Ops;

/// <summary>Layer normalisation, with weight and bias.</summary>
internal static unsafe class LayerNorm
{
    // Rows normalised by one thread at a time: a few microseconds.
    private const int RowsPerItem = 8;

    /// <summary>y = w ⊙ (x − mean(x)) / √(var(x) + ε) + b, in f32, summed in one order for each width.</summary>
    /// <param name="x">[D]. A value that isn't finite makes the row NaN.</param>
    /// <param name="weight">[D].</param>
    /// <param name="bias">[D].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[D], overwritten; may be <paramref name="x"/> itself.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Forward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, float epsilon, Span<float> y)
    {
        if (x.Length != weight.Length || x.Length != bias.Length || x.Length != y.Length)
            throw new ArgumentException($"expected equal lengths, found x {x.Length}, weight {weight.Length}, bias {bias.Length}, y {y.Length}");
        TensorPrimitives.Subtract(x, TensorPrimitives.Sum(x) / x.Length, y);
        float scale = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares<float>(y) / x.Length + epsilon);
        TensorPrimitives.Multiply(y, scale, y);
        TensorPrimitives.MultiplyAdd(y, weight, bias, y);
    }

    /// <summary>Normalises rows on all threads.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="x">[rows, D] f32, dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="weight">[D].</param>
    /// <param name="bias">[D].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[rows, D] f32, dense, overwritten; may be <paramref name="x"/> itself.</param>
    public static void Forward(ThreadTeam team, float* x, int rows, float[] weight, float[] bias, float epsilon, float* y) =>
        team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            nint width = weight.Length;
            for (int r = item * RowsPerItem; r < Math.Min(rows, (item + 1) * RowsPerItem); r++)
                Forward(new ReadOnlySpan<float>(x + r * width, weight.Length), weight, bias, epsilon, new Span<float>(y + r * width, weight.Length));
        });
}

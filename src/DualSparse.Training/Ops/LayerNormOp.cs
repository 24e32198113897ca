using System.Numerics.Tensors;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Layer normalisation of rows: y = w ⊙ x̂ + b, x̂ = (x − mean(x)) · r, r = 1 / √(var(x) + ε).</summary>
internal static unsafe class LayerNormOp
{
    // Rows that one thread does at a time. The gradients of weight and bias are added up by these chunks, whatever the threads.
    private const int RowsPerItem = 64;

    /// <summary>Normalises to the bits of the engine's <see cref="LayerNorm"/>.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="x">[rows, width] f32, dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="weight">[width].</param>
    /// <param name="bias">[width].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[rows, width] f32, dense, overwritten.</param>
    public static void Forward(ThreadTeam team, float* x, int rows, int width, float* weight, float* bias, float epsilon, float* y) => For(team, rows, (_, first, end) =>
    {
        for (nint at = (nint)first * width; at < (nint)end * width; at += width)
            LayerNorm.Forward(Of(x + at, width), Of(weight, width), Of(bias, width), epsilon, Of(y + at, width));
    });

    /// <summary>dx = r · (g − mean(g) − x̂ · mean(g ⊙ x̂)) with g = w ⊙ dy; dw += Σ dy ⊙ x̂, db += Σ dy over the rows.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dy">[rows, width] f32, dense.</param>
    /// <param name="x">[rows, width] f32, what went in.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="weight">[width].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="dx">[rows, width] f32, added to.</param>
    /// <param name="dWeight">[width], added to.</param>
    /// <param name="dBias">[width], added to.</param>
    public static void Backward(ThreadTeam team, float* dy, float* x, int rows, int width, float* weight, float epsilon, float* dx, float* dWeight, float* dBias)
    {
        int items = Items(rows);
        // Of an item: its share of dw and of db, and a row of x̂.
        using var memory = new AlignedBuffer((nuint)items * 3 * (nuint)width * sizeof(float));
        float* all = (float*)memory.Pointer;
        For(team, rows, (item, first, end) =>
        {
            float* own = all + (nint)item * 3 * width;
            Span<float> weights = Of(own, width), biases = Of(own + width, width), normed = Of(own + 2 * width, width);
            weights.Clear();
            biases.Clear();
            for (nint at = (nint)first * width; at < (nint)end * width; at += width)
                Row(Of(dy + at, width), Of(x + at, width), Of(weight, width), epsilon, normed, Of(dx + at, width), weights, biases);
        });
        for (int item = 0; item < items; item++)
        {
            float* own = all + (nint)item * 3 * width;
            TensorPrimitives.Add(Of(dWeight, width), Of(own, width), Of(dWeight, width));
            TensorPrimitives.Add(Of(dBias, width), Of(own + width, width), Of(dBias, width));
        }
    }

    private static void Row(ReadOnlySpan<float> dy, ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, Span<float> normed, Span<float> dx, Span<float> dWeight, Span<float> dBias)
    {
        int width = x.Length;
        TensorPrimitives.Subtract(x, TensorPrimitives.Sum(x) / width, normed);
        float inverse = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares<float>(normed) / width + epsilon);
        TensorPrimitives.Multiply(normed, inverse, normed);
        float mean = TensorPrimitives.Dot(weight, dy) / width, along = 0;
        for (int i = 0; i < width; i++)
            along += weight[i] * dy[i] * normed[i];
        along /= width;
        for (int i = 0; i < width; i++)
        {
            dx[i] += inverse * (weight[i] * dy[i] - mean - normed[i] * along);
            dWeight[i] += dy[i] * normed[i];
            dBias[i] += dy[i];
        }
    }

    private static int Items(int rows) => (rows + RowsPerItem - 1) / RowsPerItem;

    private static void For(ThreadTeam team, int rows, Action<int, int, int> body) =>
        team.For(Items(rows), (item, _) => body(item, item * RowsPerItem, Math.Min(rows, (item + 1) * RowsPerItem)));

    private static Span<float> Of(float* values, int count) => new(values, count);
}

using System.Numerics;
using System.Numerics.Tensors;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// Softmax under way for some rows: the largest score m, Σ e^(s−m), and Σ e^(s−m)·value, over the keys seen so far.
/// Lies in scratch memory; the values follow the two columns of numbers.
/// </summary>
internal readonly unsafe struct AttentionState(float* memory, int rows, int stride)
{
    /// <summary>[rows]: the largest score, −∞ before the first.</summary>
    public float* Largest => memory;

    /// <summary>[rows]: Σ e^(s−m).</summary>
    public float* Sum => memory + rows;

    /// <summary>[rows, stride]: Σ e^(s−m)·value.</summary>
    public float* Values => memory + Header(rows);

    /// <summary>Floats that a state takes, a multiple of a cache line.</summary>
    public static nint Floats(int rows, int stride) => Header(rows) + (nint)rows * stride;

    /// <summary>No key seen.</summary>
    public void Clear()
    {
        new Span<float>(Largest, rows).Fill(float.NegativeInfinity);
        new Span<float>(Sum, rows).Clear();
        new Span<float>(Values, rows * stride).Clear();
    }

    /// <summary>Adds what another state has seen.</summary>
    public void Merge(AttentionState other)
    {
        for (int r = 0; r < rows; r++)
        {
            float theirs = other.Largest[r];
            if (float.IsNegativeInfinity(theirs) && other.Sum[r] == 0)
                continue;
            float largest = MathF.Max(Largest[r], theirs);
            float keep = MathF.Exp(Largest[r] - largest), take = MathF.Exp(theirs - largest);
            Largest[r] = largest;
            Sum[r] = Sum[r] * keep + other.Sum[r] * take;
            float* mine = Values + r * (nint)stride, added = other.Values + r * (nint)stride;
            var (keeps, takes) = (new Vector<float>(keep), new Vector<float>(take));
            for (int i = 0; i < stride; i += Vector<float>.Count)
                (Vector.Load(mine + i) * keeps + Vector.Load(added + i) * takes).Store(mine + i);
        }
    }

    /// <summary>Σ e^(s−m)·value / Σ e^(s−m) of one row.</summary>
    public void Divide(int row, Span<float> output) =>
        TensorPrimitives.Divide(new ReadOnlySpan<float>(Values + row * (nint)stride, output.Length), Sum[row], output);

    private static nint Header(int rows) => (2 * rows + 15) / 16 * 16;
}

using System.Numerics;
using System.Numerics.Tensors;

namespace DualSparse.Kernels.Ops;

/// <summary>Turns scores into probabilities.</summary>
internal static class Softmax
{
    /// <summary>y_i = e^(x_i − max x) / Σ_j e^(x_j − max x), in f32, summed in one order for each length.</summary>
    /// <param name="x">[n], may be empty. A NaN, a +∞, or nothing but −∞ makes every result NaN.</param>
    /// <param name="y">[n], overwritten; may be <paramref name="x"/> itself.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Forward(ReadOnlySpan<float> x, Span<float> y)
    {
        if (x.Length != y.Length)
            throw new ArgumentException($"expected {x.Length} results, found room for {y.Length}");
        if (x.IsEmpty)
            return;
        TensorPrimitives.Subtract(x, TensorPrimitives.Max(x), y);
        Exp.Forward(y, y);
        TensorPrimitives.Divide(y, Sum(y), y);
    }

    /// <summary>The sum in f32, in an order that depends on the length only (not, say, on the address).</summary>
    internal static float Sum(ReadOnlySpan<float> x)
    {
        int width = Vector<float>.Count;
        var lanes = Vector<float>.Zero;
        int i = 0;
        for (; i + width <= x.Length; i += width)
            lanes += new Vector<float>(x[i..]);
        float sum = Vector.Sum(lanes);
        for (; i < x.Length; i++)
            sum += x[i];
        return sum;
    }
}

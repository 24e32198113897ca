using System.Numerics;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Root-mean-square normalisation of whole rows (one head), or of each head of a row by itself: y = w ⊙ x · r, r = 1 / √(mean(x²) + ε).</summary>
internal static unsafe class RmsNormOp
{
    // Tokens that one thread does at a time. The weight's gradient is added up by these chunks, whatever the threads.
    private const int TokensPerItem = 64;

    /// <summary>Normalises to the bits of the engine's <see cref="RmsNorm"/>.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="x">[tokens, heads, width].</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="heads">Heads; 1: a row is normalised as a whole.</param>
    /// <param name="width">Values of a head.</param>
    /// <param name="weight">[width], the same for every head.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[tokens, heads, width], overwritten; may be x itself where the backward pass isn't wanted.</param>
    /// <param name="inverse">[tokens, heads] receives r.</param>
    public static void Forward(ThreadTeam team, HeadRows x, int tokens, int heads, int width, float* weight, float epsilon, HeadRows y, float* inverse) =>
        team.For((tokens + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            var w = new ReadOnlySpan<float>(weight, width);
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
            {
                for (int h = 0; h < heads; h++)
                {
                    var row = new ReadOnlySpan<float>(x.At(t, h), width);
                    float meanSquare = RmsNorm.SumOfSquares(row) / width;
                    inverse[(nint)t * heads + h] = 1 / MathF.Sqrt(meanSquare + epsilon);
                    RmsNorm.Forward(row, w, meanSquare, epsilon, new Span<float>(y.At(t, h), width));
                }
            }
        });

    /// <summary>dx = r · (w ⊙ dy) − x · r³ · mean(w ⊙ dy ⊙ x), dw += Σ dy ⊙ x · r over tokens and heads.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dy">[tokens, heads, width].</param>
    /// <param name="x">[tokens, heads, width], what went in.</param>
    /// <param name="inverse">[tokens, heads] as the forward pass left it.</param>
    /// <param name="weight">[width].</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="width">Values of a head.</param>
    /// <param name="dx">[tokens, heads, width]; may be dy itself where it is overwritten.</param>
    /// <param name="add">Whether dx is added to; else it is overwritten.</param>
    /// <param name="dWeight">[width], added to.</param>
    public static void Backward(
        ThreadTeam team, HeadRows dy, HeadRows x, float* inverse, float* weight, int tokens, int heads, int width, HeadRows dx, bool add, float* dWeight)
    {
        int items = (tokens + TokensPerItem - 1) / TokensPerItem;
        using var memory = new AlignedBuffer((nuint)items * (nuint)width * sizeof(float));
        float* partials = (float*)memory.Pointer;
        team.For(items, (item, _) =>
        {
            float* partial = partials + (nint)item * width;
            new Span<float>(partial, width).Clear();
            for (int t = item * TokensPerItem; t < Math.Min(tokens, (item + 1) * TokensPerItem); t++)
            {
                for (int h = 0; h < heads; h++)
                    BackwardRow(dy.At(t, h), x.At(t, h), inverse[(nint)t * heads + h], weight, width, dx.At(t, h), add, partial);
            }
        });
        for (int item = 0; item < items; item++)
            Add(partials + (nint)item * width, width, dWeight);
    }

    private static void BackwardRow(float* dy, float* x, float inverse, float* weight, int width, float* dx, bool add, float* dWeight)
    {
        float shift = WeightedDot(dy, x, weight, width) * inverse / width * inverse * inverse;
        var (scales, shifts) = (new Vector<float>(inverse), new Vector<float>(shift));
        int i = 0;
        for (; i + Vector<float>.Count <= width; i += Vector<float>.Count)
        {
            var (g, value) = (Vector.Load(dy + i), Vector.Load(x + i));
            (Vector.Load(dWeight + i) + g * (value * scales)).Store(dWeight + i);
            var d = Vector.Load(weight + i) * g * scales - value * shifts;
            (add ? Vector.Load(dx + i) + d : d).Store(dx + i);
        }

        for (; i < width; i++)
        {
            float d = weight[i] * dy[i] * inverse - x[i] * shift;
            dWeight[i] += dy[i] * (x[i] * inverse);
            dx[i] = add ? dx[i] + d : d;
        }
    }

    // Σ w·dy·x; two chains hide the latency of the additions.
    private static float WeightedDot(float* dy, float* x, float* weight, int width)
    {
        int step = Vector<float>.Count;
        Vector<float> even = default, odd = default;
        int i = 0;
        for (; i + 2 * step <= width; i += 2 * step)
        {
            even += Vector.Load(weight + i) * Vector.Load(dy + i) * Vector.Load(x + i);
            odd += Vector.Load(weight + i + step) * Vector.Load(dy + i + step) * Vector.Load(x + i + step);
        }

        float sum = Vector.Sum(even + odd);
        for (; i < width; i++)
            sum += weight[i] * dy[i] * x[i];
        return sum;
    }

    private static void Add(float* source, int count, float* target)
    {
        for (int i = 0; i < count; i++)
            target[i] += source[i];
    }
}

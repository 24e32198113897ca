using System.Numerics;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Optimisation;

/// <summary>
/// AdamW (arXiv 1711.05101), as torch.optim.AdamW computes it: p ← p · (1 − lr·λ) where p decays, m ← β₁·m + (1 − β₁)·g,
/// v ← β₂·v + (1 − β₂)·g², p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε) at step t.
/// </summary>
internal sealed unsafe class AdamW : IDisposable
{
    private readonly ParameterSet parameters;
    private readonly AdamWOptions options;
    private readonly AlignedBuffer means, squares;

    /// <summary>Makes room for the state, which is zero.</summary>
    /// <param name="parameters">What is trained; stays the caller's.</param>
    /// <param name="options">The constants.</param>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public AdamW(ParameterSet parameters, AdamWOptions options)
    {
        (this.parameters, this.options) = (parameters, options);
        nuint bytes = (nuint)parameters.Length * sizeof(float);
        (means, squares) = (new AlignedBuffer(bytes), new AlignedBuffer(bytes));
        parameters.Clear(Means);
        parameters.Clear(Squares);
    }

    /// <summary>Steps made; a run that goes on sets it.</summary>
    public long Steps { get; set; }

    /// <summary>[<see cref="ParameterSet.Length"/>] m, the mean gradient.</summary>
    public float* Means => (float*)means.Pointer;

    /// <summary>[<see cref="ParameterSet.Length"/>] v, the mean squared gradient.</summary>
    public float* Squares => (float*)squares.Pointer;

    /// <summary>Makes a step by the gradients of what this process has; they stay as they are.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="rate">lr.</param>
    /// <param name="gradientScale">Multiplies the gradients first: the factor of clipping.</param>
    public void Step(ThreadTeam team, double rate, double gradientScale = 1)
    {
        Steps++;
        var factors = new Factors(
            GradientScale: (float)gradientScale,
            Decay: (float)(1 - rate * options.WeightDecay),
            NewMean: (float)(1 - options.Beta1),
            OldSquare: (float)options.Beta2,
            NewSquare: (float)(1 - options.Beta2),
            RootScale: (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, Steps))),
            Epsilon: (float)options.Epsilon,
            StepSize: (float)(rate / (1 - Math.Pow(options.Beta1, Steps))));
        team.For(parameters.Chunks.Count, (item, _) =>
        {
            var chunk = parameters.Chunks[item];
            Update(parameters.Values + chunk.First, parameters.Gradients + chunk.First, Means + chunk.First, Squares + chunk.First, chunk.Count,
                parameters.All[chunk.Tensor].Decays ? factors : factors with { Decay = 1 });
        });
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        means.Dispose();
        squares.Dispose();
    }

    // Tensors begin on multiples of every vector, and the gaps between them are zero, which a step leaves.
    private static void Update(float* p, float* g, float* m, float* v, int count, in Factors f)
    {
        for (int i = 0; i < count; i += Vector<float>.Count)
        {
            var gradient = Vector.Load(g + i) * f.GradientScale;
            var mean = Vector.Load(m + i);
            mean += (gradient - mean) * f.NewMean;
            mean.Store(m + i);
            var square = Vector.Load(v + i) * f.OldSquare + gradient * gradient * f.NewSquare;
            square.Store(v + i);
            var step = mean * f.StepSize / (Vector.SquareRoot(square) * f.RootScale + new Vector<float>(f.Epsilon));
            (Vector.Load(p + i) * f.Decay - step).Store(p + i);
        }
    }

    private readonly record struct Factors(
        float GradientScale, float Decay, float NewMean, float OldSquare, float NewSquare, float RootScale, float Epsilon, float StepSize);
}

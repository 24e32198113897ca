using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>One pass over a batch: its shape, and the memory that layers use in turn.</summary>
/// <param name="work">Threads, kernels, scratch.</param>
/// <param name="rope">Rotary position embedding.</param>
/// <param name="epsilon">What RMS norms add to the mean square.</param>
internal sealed class TrainingPass(TrainingWork work, Rope rope, float epsilon) : IDisposable
{
    /// <summary>Threads, kernels, scratch.</summary>
    public TrainingWork Work => work;

    /// <summary>Rotary position embedding.</summary>
    public Rope Rope => rope;

    /// <summary>ε of RMS norms.</summary>
    public float Epsilon => epsilon;

    /// <summary>Windows.</summary>
    public int Windows { get; private set; }

    /// <summary>Tokens of each.</summary>
    public int Length { get; private set; }

    /// <summary>Tokens of all.</summary>
    public int Tokens => Windows * Length;

    /// <summary>The sums of each MoE layer's router, in order; where tokens are routed twice, of both.</summary>
    public List<RouterTotals> Routers { get; } = [];

    /// <summary>The gradient of a normalised input.</summary>
    public ScratchBuffer Normalised { get; } = new();

    /// <summary>The gradients of queries.</summary>
    public ScratchBuffer Queries { get; } = new();

    /// <summary>The gradients of keys.</summary>
    public ScratchBuffer Keys { get; } = new();

    /// <summary>The gradients of values.</summary>
    public ScratchBuffer Values { get; } = new();

    /// <summary>The gradient of what attention gives.</summary>
    public ScratchBuffer Attended { get; } = new();

    /// <summary>Hidden rows of a gated MLP.</summary>
    public ScratchBuffer Hidden { get; } = new();

    /// <summary>The gradients of hidden rows.</summary>
    public ScratchBuffer HiddenGradients { get; } = new();

    /// <summary>The gradients of the pairs' weights.</summary>
    public ScratchBuffer PairWeights { get; } = new();

    /// <summary>Begins a pass.</summary>
    public void Begin(WindowBatch batch)
    {
        (Windows, Length) = (batch.Windows, batch.Length);
        Routers.Clear();
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var buffer in new[] { Normalised, Queries, Keys, Values, Attended, Hidden, HiddenGradients, PairWeights })
            buffer.Dispose();
    }
}

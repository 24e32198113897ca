using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;
using Operator = DualSparse.Engine.Operator;

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

    /// <summary>The texts' tokens.</summary>
    public Window[] Windows { get; private set; } = [];

    /// <summary>[tokens] where each is.</summary>
    public GridPlace[] Places { get; private set; } = [];

    /// <summary>Tokens of all texts.</summary>
    public int Tokens => Places.Length;

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

    /// <summary>Measures the forward pass; null: nothing does.</summary>
    public OperatorClock? ForwardClock { get; set; }

    /// <summary>Measures the backward pass; null: nothing does.</summary>
    public OperatorClock? BackwardClock { get; set; }

    /// <summary>Whether it is on its way back.</summary>
    public bool IsBackward { get; set; }

    /// <summary>Measures what runs now; null: nothing does.</summary>
    public OperatorClock? Clock => IsBackward ? BackwardClock : ForwardClock;

    /// <summary>Does a part of what is done, and has it measured as another operator.</summary>
    public void Measure(Operator step, Action work)
    {
        var outer = Clock?.Running;
        Clock?.Begin(step);
        work();
        if (outer is { } before)
            Clock!.Begin(before);
    }

    /// <summary>Begins a pass.</summary>
    /// <param name="windows">The texts' tokens.</param>
    /// <param name="places">[tokens] where each is.</param>
    public void Begin(Window[] windows, GridPlace[] places)
    {
        IsBackward = false;
        (Windows, Places) = (windows, places);
        Routers.Clear();
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var buffer in new[] { Normalised, Queries, Keys, Values, Attended, Hidden, HiddenGradients, PairWeights })
            buffer.Dispose();
    }
}

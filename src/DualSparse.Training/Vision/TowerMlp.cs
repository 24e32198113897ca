using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Vision;

/// <summary>Two maps with a GELU between them behind a layer norm: a block's MLP, or a merger, for which several patches' rows are one.</summary>
internal sealed unsafe class TowerMlp : IDisposable
{
    private readonly TowerNorm norm;
    private readonly Linear up, down;
    private readonly bool exact;
    private readonly ScratchBuffer stream = new(), normalised = new(), before = new(), behind = new(), gradient = new();

    /// <summary>Takes its tensors.</summary>
    /// <param name="arithmetic">In what products are computed.</param>
    /// <param name="set">The tensors.</param>
    /// <param name="tensors">Which.</param>
    /// <param name="exact">Whether the GELU is the exact one, and not its approximation by tanh.</param>
    public TowerMlp(Arithmetic arithmetic, ParameterSet set, NormedMlpTensors tensors, bool exact)
    {
        this.exact = exact;
        norm = new TowerNorm(set, tensors.Norm);
        (up, down) = (Of(tensors.Up), Of(tensors.Down));

        Linear Of(BiasedTensors map) => new(arithmetic, set, set.Find(map.Weight), set.Find(map.Bias));
    }

    /// <summary>Its linear maps.</summary>
    public IEnumerable<Linear> Maps => [up, down];

    /// <summary>Values that become one row.</summary>
    public int Inputs => up.Inputs;

    /// <summary>y = or += f(x).</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="x">[values] f32, the patches' rows.</param>
    /// <param name="values">Values of all rows.</param>
    /// <param name="y">[values / inputs, outputs] f32; may be x.</param>
    /// <param name="add">Whether y is added to.</param>
    public void Forward(TrainingWork work, float* x, nint values, float* y, bool add)
    {
        int rows = (int)(values / up.Inputs);
        nint neurons = (nint)rows * up.Outputs;
        float* from = stream.Floats(values), n = normalised.Floats(values), u = before.Floats(neurons);
        NativeMemory.Copy(x, from, (nuint)values * sizeof(float));
        norm.Forward(work, from, values, n);
        up.Forward(work, n, rows, u);
        down.Forward(work, Activated(work, neurons), rows, y, add);
    }

    /// <summary>dx += the gradient of x; those of the tensors are added.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="dy">[values / inputs, outputs] f32; may be dx.</param>
    /// <param name="values">Values of all rows.</param>
    /// <param name="dx">[values] f32.</param>
    public void Backward(TrainingWork work, float* dy, nint values, float* dx)
    {
        int rows = (int)(values / up.Inputs);
        nint neurons = (nint)rows * up.Outputs;
        down.BackwardWeight(work, dy, Activated(work, neurons), rows);
        float* d = behind.Floats(neurons), dn = gradient.Floats(values);
        down.BackwardInput(work, dy, rows, d, add: false);
        GeluOp.Backward(work.Team, d, before.Current, neurons, exact);
        up.BackwardWeight(work, d, normalised.Current, rows);
        up.BackwardInput(work, d, rows, dn, add: false);
        norm.Backward(work, dn, stream.Current, values, dx);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { up, down, stream, normalised, before, behind, gradient })
            one.Dispose();
    }

    private float* Activated(TrainingWork work, nint neurons)
    {
        float* values = behind.Floats(neurons);
        NativeMemory.Copy(before.Current, values, (nuint)neurons * sizeof(float));
        Gelu.Forward(work.Team, values, neurons, exact);
        return values;
    }
}

using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>y = W2·(SiLU(W1·x) ⊙ W3·x) for every token: a dense layer's, or a shared expert.</summary>
internal sealed unsafe class GatedMlp : IDisposable
{
    private const int RowsPerItem = 16;

    private readonly int neurons;
    private readonly Linear gate, up, down;
    private readonly ScratchBuffer gates = new(), ups = new();

    /// <summary>Takes its tensors.</summary>
    public GatedMlp(Arithmetic arithmetic, ParameterSet set, MlpTensors tensors)
    {
        neurons = tensors.Neurons;
        gate = new Linear(arithmetic, set, set[tensors.Gate.Tensor.Name]);
        up = new Linear(arithmetic, set, set[tensors.Up.Tensor.Name]);
        down = new Linear(arithmetic, set, set[tensors.Down.Tensor.Name]);
    }

    /// <summary>Its linear maps.</summary>
    public IEnumerable<Linear> Maps => [gate, up, down];

    /// <summary>y = or += f(x).</summary>
    public void Forward(TrainingPass pass, float* x, float* y, bool add)
    {
        nint size = (nint)pass.Tokens * neurons;
        float* g = gates.Floats(size), u = ups.Floats(size), h = pass.Hidden.Floats(size);
        gate.Forward(pass.Work, x, pass.Tokens, g);
        up.Forward(pass.Work, x, pass.Tokens, u);
        Gate(pass, g, u, h);
        down.Forward(pass.Work, h, pass.Tokens, y, add);
    }

    /// <summary>dx = or += the gradient of x; those of the weights are added. What <see cref="Forward"/> kept is overwritten.</summary>
    public void Backward(TrainingPass pass, float* x, float* dy, float* dx, bool add)
    {
        nint size = (nint)pass.Tokens * neurons;
        float* g = gates.Current, u = ups.Current, h = pass.Hidden.Floats(size), dh = pass.HiddenGradients.Floats(size);
        Gate(pass, g, u, h);
        down.BackwardWeight(pass.Work, dy, h, pass.Tokens);
        down.BackwardInput(pass.Work, dy, pass.Tokens, dh, add: false);
        ForRows(pass, (row, rows) => SwiGluOp.Backward(dh + row * neurons, neurons, g + row * neurons, u + row * neurons, neurons, rows, neurons, g + row * neurons, u + row * neurons, neurons));
        gate.BackwardWeight(pass.Work, g, x, pass.Tokens);
        up.BackwardWeight(pass.Work, u, x, pass.Tokens);
        gate.BackwardInput(pass.Work, g, pass.Tokens, dx, add);
        up.BackwardInput(pass.Work, u, pass.Tokens, dx, add: true);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { gate, up, down, gates, ups })
            one.Dispose();
    }

    private void Gate(TrainingPass pass, float* g, float* u, float* h) =>
        ForRows(pass, (row, rows) => SwiGluOp.Forward(g + row * neurons, u + row * neurons, neurons, rows, neurons, h + row * neurons, neurons));

    private static void ForRows(TrainingPass pass, Action<nint, int> body) => pass.Work.Team.For((pass.Tokens + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        body((nint)item * RowsPerItem, Math.Min(RowsPerItem, pass.Tokens - item * RowsPerItem)));
}

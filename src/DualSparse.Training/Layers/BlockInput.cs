using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Layers;

/// <summary>What a block computes from: the residual stream as it was, after a norm. A later layer's experts may read it too, and add their gradient.</summary>
/// <param name="set">The tensors.</param>
/// <param name="weight">[hidden] the norm's.</param>
internal sealed unsafe class BlockInput(ParameterSet set, Parameter weight) : IDisposable
{
    private readonly Norm norm = new(set, weight);
    private readonly ScratchBuffer stream = new(), normalised = new(), gradient = new();
    private readonly int hidden = (int)weight.Count;
    private bool isReadLater;

    /// <summary>Called once the rows are there; null: nobody reads them but the block.</summary>
    public Action<TrainingPass>? Made { get; set; }

    /// <summary>Called before <see cref="Backward"/>: the last chance to give a <see cref="LaterGradient"/>.</summary>
    public Action<TrainingPass>? Leaving { get; set; }

    /// <summary>[tokens, hidden] f32: norm(h), from <see cref="Forward"/> until the next.</summary>
    public float* Rows => normalised.Current;

    /// <summary>Keeps h and norm(h), and gives the latter.</summary>
    public float* Forward(TrainingPass pass, float* h)
    {
        isReadLater = false;
        nint size = (nint)pass.Tokens * hidden;
        float* from = stream.Floats(size), n = normalised.Floats(size);
        NativeMemory.Copy(h, from, (nuint)size * sizeof(float));
        norm.Forward(pass, from, 1, n);
        Made?.Invoke(pass);
        return n;
    }

    /// <summary>[tokens, hidden] f32, zero at first: the gradient of <see cref="Rows"/> by a later layer, which <see cref="Backward"/> adds to its own.</summary>
    public float* LaterGradient(TrainingPass pass)
    {
        nint size = (nint)pass.Tokens * hidden;
        float* later = gradient.Floats(size);
        NativeMemory.Clear(later, (nuint)size * sizeof(float));
        isReadLater = true;
        return later;
    }

    /// <summary>dh += the gradient through the norm; its weight's is added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dn">[tokens, hidden] f32: the gradient of <see cref="Rows"/> by the block itself; changed.</param>
    /// <param name="dh">[tokens, hidden] f32.</param>
    public void Backward(TrainingPass pass, float* dn, float* dh)
    {
        Leaving?.Invoke(pass);
        if (isReadLater)
            ParallelSum.Add(pass.Work.Team, dn, (long)pass.Tokens * hidden, (nint)gradient.Current);
        norm.Backward(pass, dn, stream.Current, 1, dh, add: true);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { norm, stream, normalised, gradient })
            one.Dispose();
    }
}

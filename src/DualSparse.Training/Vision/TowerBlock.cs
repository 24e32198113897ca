using System.Runtime.InteropServices;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Vision;

/// <summary>x += attention(norm(x)) of all patches of a picture to all of them; x += mlp(norm(x)).</summary>
internal sealed unsafe class TowerBlock : IDisposable
{
    private readonly int hidden, heads, size;
    private readonly TowerNorm norm;
    private readonly Linear queryKeyValue, output;
    private readonly WindowAttention attention;
    private readonly TowerMlp mlp;
    private readonly ScratchBuffer stream = new(), normalised = new(), projected = new(), attended = new(), logSums = new(), gradient = new(), projectedGradient = new();

    /// <summary>Takes a block's tensors.</summary>
    public TowerBlock(Arithmetic arithmetic, ParameterSet set, VisionConfig config, VisionBlockTensors tensors)
    {
        (hidden, heads, size) = (config.HiddenSize, config.Heads, config.HeadSize);
        norm = new TowerNorm(set, tensors.AttentionNorm);
        (queryKeyValue, output) = (Of(tensors.QueryKeyValue), Of(tensors.Output));
        attention = new WindowAttention(arithmetic, heads, heads, size, (float)(1 / Math.Sqrt(size)), causal: false, joined: true);
        mlp = new TowerMlp(arithmetic, set, tensors.Mlp, exact: false);

        Linear Of(BiasedTensors map) => new(arithmetic, set, set.Find(map.Weight), set.Find(map.Bias));
    }

    /// <summary>Its linear maps, each patch's once.</summary>
    public IEnumerable<Linear> Maps => [queryKeyValue, output, .. mlp.Maps];

    /// <summary>x becomes what the block gives.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="patches">Where each patch is, and whose.</param>
    /// <param name="rope">RoPE of the tower.</param>
    /// <param name="x">[patches, hidden] f32.</param>
    public void Forward(TrainingWork work, TowerPatches patches, Rope rope, float* x)
    {
        nint values = (nint)patches.Count * hidden;
        float* from = stream.Floats(values), n = normalised.Floats(values), joined = projected.Floats(3 * values), o = attended.Floats(values);
        NativeMemory.Copy(x, from, (nuint)values * sizeof(float));
        norm.Forward(work, from, values, n);
        queryKeyValue.Forward(work, n, patches.Count, joined);
        RopeOp.Forward(work.Team, rope, Turned(joined), patches.Places, 2 * heads, size);
        attention.Forward(work, patches.Pictures, joined, joined + hidden, joined + 2 * hidden, o, logSums.Floats((nint)patches.Count * heads));
        output.Forward(work, o, patches.Count, x, add: true);
        mlp.Forward(work, x, values, x, add: true);
    }

    /// <summary>dx becomes the gradient of what went in; those of the tensors are added.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="patches">As in <see cref="Forward"/>.</param>
    /// <param name="rope">As in <see cref="Forward"/>.</param>
    /// <param name="dx">[patches, hidden] f32.</param>
    public void Backward(TrainingWork work, TowerPatches patches, Rope rope, float* dx)
    {
        nint values = (nint)patches.Count * hidden;
        mlp.Backward(work, dx, values, dx);
        float* joined = projected.Current, d = gradient.Floats(values), dJoined = projectedGradient.Floats(3 * values);
        output.BackwardWeight(work, dx, attended.Current, patches.Count);
        output.BackwardInput(work, dx, patches.Count, d, add: false);
        attention.Backward(
            work, patches.Pictures, joined, joined + hidden, joined + 2 * hidden, attended.Current, logSums.Current, d, dJoined, dJoined + hidden, dJoined + 2 * hidden);
        RopeOp.Backward(work.Team, rope, Turned(dJoined), patches.Places, 2 * heads, size);
        queryKeyValue.BackwardWeight(work, dJoined, normalised.Current, patches.Count);
        queryKeyValue.BackwardInput(work, dJoined, patches.Count, d, add: false);
        norm.Backward(work, d, stream.Current, values, dx);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { queryKeyValue, output, mlp, stream, normalised, projected, attended, logSums, gradient, projectedGradient })
            one.Dispose();
    }

    // Queries and keys; the values behind them stay.
    private HeadRows Turned(float* joined) => new(joined, 3 * hidden, size);
}

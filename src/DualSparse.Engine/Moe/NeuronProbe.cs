using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>Receives the neurons of one routed row: its expert's values before the gated unit.</summary>
/// <param name="token">The index of the row's token in the batch.</param>
/// <param name="expert">The row's expert.</param>
/// <param name="gate">[F] x·W1, in the checkpoint's order of neurons; valid during the call.</param>
/// <param name="up">[F] x·W3.</param>
internal delegate void NeuronObserver(int token, int expert, ReadOnlySpan<float> gate, ReadOnlySpan<float> up);

/// <summary>Multiplies a batch's rows with gate and up once more, for an observer; the layer's own results don't change.</summary>
internal static unsafe class NeuronProbe
{
    /// <summary>Calls an observer for every row that was sent, rank by rank and expert by expert.</summary>
    /// <param name="pass">Threads, kernels, memory.</param>
    /// <param name="experts">The weights.</param>
    /// <param name="ticket">Rows by expert.</param>
    /// <param name="x">[rows, D] f32.</param>
    /// <param name="observer">Called on this thread.</param>
    public static void Run(Pass pass, PackedExperts experts, ExpertTicket ticket, float* x, NeuronObserver observer)
    {
        foreach (var share in ticket.Ranks)
            Run(pass, experts, share.Batch, x, observer);
    }

    private static void Run(Pass pass, PackedExperts experts, ExpertBatch batch, float* x, NeuronObserver observer)
    {
        var layout = experts.Neurons;
        int width = 2 * layout.Padded;
        float[] gate = new float[layout.Neurons], up = new float[layout.Neurons];
        foreach (var expert in batch.Experts)
        {
            float* rows = pass.Memory.ProbeRows.Floats((nint)expert.Count * experts.Hidden);
            float* both = pass.Memory.ProbeProducts.Floats((nint)expert.Count * width);
            for (int r = 0; r < expert.Count; r++)
            {
                var source = new ReadOnlySpan<float>(x + (nint)batch.Tokens[expert.First + r] * experts.Hidden, experts.Hidden);
                source.CopyTo(new Span<float>(rows + (nint)r * experts.Hidden, experts.Hidden));
            }

            MatMul.Multiply(pass.Work, experts.GateUp(expert.Expert), rows, expert.Count, experts.Hidden, experts.Hidden, both, width);
            for (int r = 0; r < expert.Count; r++)
            {
                layout.Split(new ReadOnlySpan<float>(both + (nint)r * width, width), gate, up);
                observer(batch.Tokens[expert.First + r], expert.Expert, gate, up);
            }
        }
    }
}

using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;

namespace DualSparse.Kernels.Jit;

/// <summary>A loop of one instruction on registers alone: the arithmetic ceiling of this machine.</summary>
/// <param name="function">Loads its registers from <see cref="PanelArgs.Rows"/> and <see cref="PanelArgs.Panel"/>, each <see cref="DataBytes"/>, and loops <see cref="PanelArgs.Inputs"/> times.</param>
/// <param name="operationsPerRound">Additions and multiplications of one round.</param>
/// <param name="activations">The format of the registers' values.</param>
internal sealed unsafe class RateLoop(EmittedFunction function, long operationsPerRound, ActivationFormat activations)
{
    /// <summary>Bytes that fill any register: one tile.</summary>
    public const int DataBytes = 1024;

    // Random: on zeros a processor draws less power and runs faster than it ever will on weights.
    private readonly Lazy<AlignedBuffer> data = new(() =>
    {
        var buffer = new AlignedBuffer(2 * DataBytes);
        Fill(activations, buffer);
        return buffer;
    });

    /// <summary>The loop itself.</summary>
    public EmittedFunction Function => function;

    /// <summary>Runs the loop; returns the operations done.</summary>
    /// <exception cref="KernelRefusedException">The system gives no executable memory.</exception>
    public long Run(int rounds)
    {
        var args = Args(rounds);
        KernelCompiler.Compile(function)(&args);
        return rounds * operationsPerRound;
    }

    /// <summary>The arguments of the loop.</summary>
    public PanelArgs Args(int rounds) => new() { Rows = data.Value.Pointer, Panel = data.Value.Pointer + DataBytes, Inputs = rounds };

    private static void Fill(ActivationFormat activations, AlignedBuffer buffer)
    {
        var random = new Random(1);
        if (activations == ActivationFormat.Int8)
        {
            foreach (ref byte value in buffer.AsSpan<byte>())
                value = (byte)random.Next(1, 256);
            return;
        }

        // Between 0.5 and 1, of both signs: sums grow slowly and never to infinity.
        foreach (ref ushort value in buffer.AsSpan<ushort>())
            value = Bf16.FromSingle(MathF.CopySign(0.5f + random.NextSingle() / 2, random.NextSingle() - 0.5f));
    }
}

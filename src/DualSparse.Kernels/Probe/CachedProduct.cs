using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Probe;

/// <summary>A product of random values small enough for the first-level cache, one a worker: the best rate of a kernel.</summary>
internal sealed unsafe class CachedProduct : IDisposable
{
    // Divisible by the tile heights in use: 1, 2, 3, 4, 6, 8, 12, 16.
    private const int Rows = 48;
    private readonly int inputs;
    private readonly PanelKernel kernel;
    private readonly ActivationRows rows = new();
    private readonly PackedSet set;
    private readonly AlignedBuffer results;
    private readonly PackedMatrix matrix;

    public CachedProduct(PanelKernel kernel, int workers)
    {
        this.kernel = kernel;
        inputs = kernel.Weights == WeightFormat.F32 ? 64 : 128;
        var random = new Random(1);
        var values = new float[PanelLayout.Columns * inputs];
        int outputs = workers * PanelLayout.Columns;
        set = new PackedSet(kernel.Weights, 1, (outputs, inputs));
        matrix = set.Matrices[0];
        results = new AlignedBuffer((nuint)outputs * Rows * sizeof(float));
        rows.Reset(kernel.Activations, Rows * workers, inputs);
        for (int worker = 0; worker < workers; worker++)
        {
            Fill(random, values);
            matrix.PackPanel(worker, values);
            for (int r = 0; r < Rows; r++)
            {
                Fill(random, values.AsSpan(0, inputs));
                rows.Encode(worker * Rows + r, values.AsSpan(0, inputs));
            }
        }
    }

    /// <summary>Multiplies <paramref name="rounds"/> times; returns the operations done.</summary>
    public long Run(int worker, int rounds)
    {
        var args = rows.Args(kernel.Weights, worker * Rows, Rows, inputs);
        args.Panel = matrix.Panel(worker);
        args.Result = (float*)results.Pointer + worker * Rows * PanelLayout.Columns;
        for (int i = 0; i < rounds; i++)
            kernel.Multiply(args);
        return 2L * rounds * Rows * inputs * PanelLayout.Columns;
    }

    public void Dispose()
    {
        rows.Dispose();
        set.Dispose();
        results.Dispose();
    }

    private static void Fill(Random random, Span<float> values)
    {
        foreach (ref float value in values)
            value = MathF.CopySign(random.NextSingle() + 0.1f, random.NextSingle() - 0.5f);
    }
}

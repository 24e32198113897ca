using System.Diagnostics;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Kernels.Probe;

/// <summary>What a kernel reaches on a product of 1024 by 1024 by 1024, encoding of the rows included: a yardstick that other libraries can be held against, too.</summary>
internal static unsafe class ProductProbe
{
    /// <summary>Rows, inputs and outputs.</summary>
    public const int Size = 1024;

    // Of so many runs the best: the first ones find cold memory.
    private const int Runs = 5;

    // A kernel that takes a second has said enough by then.
    private const double EnoughSeconds = 0.5;

    /// <summary>Operations a second, 2 for each multiply-add, of all threads of the team together.</summary>
    public static double OperationsPerSecond(ThreadTeam team, PanelKernel kernel)
    {
        using var work = new Workspace(team, new KernelSet(_ => kernel));
        using var set = new PackedSet(kernel.Weights, 1, (Size, Size));
        using var rows = new AlignedBuffer((nuint)Size * Size * sizeof(float));
        using var results = new AlignedBuffer((nuint)Size * Size * sizeof(float));
        var random = new Random(1);
        float* x = (float*)rows.Pointer, y = (float*)results.Pointer;
        for (int i = 0; i < Size * Size; i++)
            x[i] = random.NextSingle() - 0.5f;
        var weights = set.Matrices[0];
        for (int panel = 0; panel < weights.PanelCount; panel++)
            weights.PackPanel(panel, new ReadOnlySpan<float>(x + panel * PanelLayout.Columns * Size, PanelLayout.Columns * Size));
        double best = double.PositiveInfinity, all = 0;
        for (int run = 0; run < Runs && all < EnoughSeconds; run++)
        {
            long start = Stopwatch.GetTimestamp();
            MatMul.Multiply(work, weights, x, Size, Size, Size, y, Size);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            (best, all) = (Math.Min(best, seconds), all + seconds);
        }

        return 2.0 * Size * Size * Size / best;
    }
}

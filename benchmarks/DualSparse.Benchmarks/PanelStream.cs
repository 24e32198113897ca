using System.Diagnostics;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks;

/// <summary>Multiplies the panels of a large buffer, one after another, by the same rows, on the threads of a team.</summary>
internal sealed unsafe class PanelStream : IDisposable
{
    private const int Inputs = 2048;
    private const int PanelsPerItem = 4;
    private readonly PanelKernel kernel;
    private readonly ThreadTeam team;
    private readonly AlignedBuffer weights;
    private readonly ActivationRows rows = new();
    private readonly AlignedBuffer results;
    private readonly int maxRows;
    private readonly int panelCount;
    private int next;

    public PanelStream(PanelKernel kernel, ThreadTeam team, AlignedBuffer weights, int maxRows)
    {
        this.kernel = kernel;
        this.team = team;
        this.weights = weights;
        this.maxRows = maxRows;
        PanelBytes = PanelLayout.PanelBytes(kernel.Weights, Inputs);
        panelCount = (int)(weights.Bytes / (nuint)PanelBytes) / PanelsPerItem * PanelsPerItem;
        results = new AlignedBuffer((nuint)(team.Size * maxRows * PanelLayout.Columns * sizeof(float)));
        rows.Reset(kernel.Activations, maxRows, Inputs);
        var random = new Random(2);
        var values = new float[Inputs];
        for (int r = 0; r < maxRows; r++)
        {
            foreach (ref float value in values.AsSpan())
                value = random.NextSingle() - 0.5f;
            rows.Encode(r, values);
        }

        Fill(random);
    }

    public nint PanelBytes { get; }

    public double Operations(int rowCount) => 2.0 * rowCount * Inputs * PanelLayout.Columns;

    /// <summary>Multiplies the next <paramref name="panels"/> panels; returns seconds.</summary>
    public double Multiply(int rowCount, int panels)
    {
        int first = next;
        next = (next + panels) % panelCount / PanelsPerItem * PanelsPerItem;
        long start = Stopwatch.GetTimestamp();
        team.For((panels + PanelsPerItem - 1) / PanelsPerItem, (item, worker) =>
        {
            var args = rows.Args(kernel.Weights, 0, rowCount, Inputs);
            args.Result = (float*)results.Pointer + worker * maxRows * PanelLayout.Columns;
            for (int i = 0; i < Math.Min(PanelsPerItem, panels - item * PanelsPerItem); i++)
            {
                // As in a layer: threads take items in turn, so after an item's last panel comes the item team.Size further on.
                int after = i + 1 < PanelsPerItem ? i + 1 : team.Size * PanelsPerItem;
                args.Panel = At(first + item * PanelsPerItem + i);
                args.Next = At(first + item * PanelsPerItem + after);
                kernel.Multiply(args);
            }
        });
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private byte* At(int panel) => weights.Pointer + panel % panelCount * PanelBytes;

    public void Dispose()
    {
        rows.Dispose();
        results.Dispose();
    }

    // Random weights of usual magnitude: arbitrary bits would be infinities, NaNs and subnormal numbers.
    private void Fill(Random random)
    {
        var values = new float[PanelLayout.Columns * Inputs];
        foreach (ref float value in values.AsSpan())
            value = random.NextSingle() - 0.5f;
        var matrix = new PackedMatrix(kernel.Weights, PanelLayout.Columns, Inputs, weights, 0);
        matrix.PackPanel(0, values);
        for (int i = 1; i < panelCount; i++)
            Buffer.MemoryCopy(weights.Pointer, weights.Pointer + i * PanelBytes, PanelBytes, PanelBytes);
    }
}

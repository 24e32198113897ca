using System.Diagnostics;
using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarks;

/// <summary>Conversion of weights at load and of activations in a pass, on one thread: bytes of the source a second, medians.</summary>
internal static class PackingBenchmark
{
    private const int Rounds = 15;
    private const int Inputs = 2048;

    public static int Run()
    {
        var random = new Random(1);
        var rows = new float[PanelLayout.Columns * Inputs];
        foreach (ref float value in rows.AsSpan())
            value = random.NextSingle() - 0.5f;
        var halves = new ushort[rows.Length];
        Bf16.FromSingle(rows, halves);
        foreach (var format in Enum.GetValues<WeightFormat>())
        {
            using var block = new AlignedBuffer(PackedMatrix.SizeBytes(format, PanelLayout.Columns, Inputs));
            var matrix = new PackedMatrix(format, PanelLayout.Columns, Inputs, block, 0);
            Report($"f32 weights to {format}", MemoryMarshal.AsBytes<float>(rows).Length, () => matrix.PackPanel(0, rows));
            Report($"bf16 weights to {format}", MemoryMarshal.AsBytes<ushort>(halves).Length, () => matrix.PackPanelBf16(0, halves));
        }

        foreach (var from in WeightFormats.All)
        {
            using var old = new PackedSet(from.Format, 1, (PanelLayout.Columns, Inputs));
            old.Matrices[0].PackPanel(0, rows);
            foreach (var to in WeightFormats.All)
            {
                using var made = new PackedSet(to.Format, 1, (PanelLayout.Columns, Inputs));
                Report($"{from.Name} panel to {to.Name}", (int)old.Bytes, () => made.Matrices[0].ConvertPanel(0, old.Matrices[0]));
            }
        }

        using var encoded = new ActivationRows();
        foreach (var format in Enum.GetValues<ActivationFormat>())
        {
            encoded.Reset(format, PanelLayout.Columns, Inputs);
            Report($"f32 rows to {format}", MemoryMarshal.AsBytes<float>(rows).Length, () =>
            {
                for (int r = 0; r < PanelLayout.Columns; r++)
                    encoded.Encode(r, rows.AsSpan(r * Inputs, Inputs));
            });
        }

        return 0;
    }

    private static void Report(string what, int bytes, Action body)
    {
        const int repeats = 40;
        // Runs past the runtime's first, unoptimised code.
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.4;)
            body();
        var seconds = new double[Rounds];
        foreach (ref double time in seconds.AsSpan())
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < repeats; i++)
                body();
            time = Stopwatch.GetElapsedTime(start).TotalSeconds / repeats;
        }

        Console.WriteLine($"{what,-24} {bytes / seconds.Order().ElementAt(Rounds / 2) / 1e9,6:f2} GB/s");
    }
}

using System.Collections.Concurrent;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Jit;

/// <summary>
/// Checks an emitted kernel on a small product before it is used: a processor, a hypervisor or an emulator that gets an instruction wrong
/// costs speed, not correctness.
/// </summary>
internal static unsafe class SelfCheck
{
    // Past one block of rows and of inputs of every kernel, with a remainder of each; the panel is longer still.
    private const int Rows = 45, Inputs = 1088, PanelInputs = 1152;

    // Small whole numbers are exact in bf16, and so are all their sums in f32 (15² · 1088 < 2²⁴): results must agree bit for bit.
    private const int Largest = 15;

    private static readonly ConcurrentDictionary<(string, WeightFormat), Lazy<string?>> Results = new();

    /// <summary>
    /// Returns <paramref name="kernel"/> once it has computed correctly, checked once per process and only where this machine has its
    /// instructions.
    /// </summary>
    /// <exception cref="KernelRefusedException">Its results differ from the scalar kernel's.</exception>
    public static PanelKernel Verified(PanelKernel kernel, Func<CpuFeatures, string?> refusal)
    {
        if (refusal(CpuFeatures.Current) is not null)
            return kernel;
        var result = Results.GetOrAdd((kernel.Name, kernel.Weights), _ => new Lazy<string?>(() => Compare(kernel, KernelTable.Scalar(kernel.Weights))));
        return result.Value is { } reason ? throw new KernelRefusedException(reason) : kernel;
    }

    /// <summary>Null where both kernels agree, else what differs.</summary>
    public static string? Compare(PanelKernel kernel, PanelKernel reference)
    {
        var random = new Random(1);
        float[] rows = Whole(random, Rows * Inputs), weights = Whole(random, PanelLayout.Columns * PanelInputs);
        using var set = new PackedSet(kernel.Weights, 1, (PanelLayout.Columns, PanelInputs));
        var matrix = set.Matrices[0];
        matrix.PackPanel(0, weights);
        foreach (int count in (int[])[1, Rows])
        {
            float[] expected = Multiply(reference, matrix, rows, count), found = Multiply(kernel, matrix, rows, count);
            for (int i = 0; i < count * PanelLayout.Columns; i++)
            {
                if (expected[i] != found[i])
                {
                    return $"its self-check failed: row {i / PanelLayout.Columns} of {count}, output {i % PanelLayout.Columns}: " +
                        $"expected {expected[i]}, found {found[i]}";
                }
            }
        }

        return null;
    }

    private static float[] Multiply(PanelKernel kernel, PackedMatrix matrix, float[] rows, int count)
    {
        using var encoded = new ActivationRows();
        encoded.Reset(kernel.Activations, count, Inputs);
        for (int r = 0; r < count; r++)
            encoded.Encode(r, rows.AsSpan(r * Inputs, Inputs));
        float[] result = new float[(count + PanelLayout.RowAlignment) * PanelLayout.Columns];
        fixed (float* pointer = result)
        {
            var args = encoded.Args(kernel.Weights, 0, count, Inputs);
            args.Panel = matrix.Panel(0);
            args.Result = pointer;
            kernel.Multiply(args);
        }

        return result;
    }

    private static float[] Whole(Random random, int count)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = random.Next(-Largest, Largest + 1);
        return values;
    }
}

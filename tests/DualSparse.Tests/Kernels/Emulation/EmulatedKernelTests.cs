using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Jit;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>Every emitted kernel on every machine, in an interpreter: <see cref="PanelKernelTests"/> run them where the processor can.</summary>
public class EmulatedKernelTests
{
    private static readonly int[] RowCounts = [.. Enumerable.Range(1, 40), 64];

    // Above every address of ours; never read, only asked for.
    private const ulong NextPanel = 0x7FFF_0000_0000_0000;

    public static TheoryData<string, WeightFormat> Emitted =>
    [
        ("amx", WeightFormat.Bf16), ("amx", WeightFormat.Int8), ("amx", WeightFormat.Int4),
        ("avx512-dot", WeightFormat.Bf16), ("avx512-dot", WeightFormat.Int8), ("avx512-dot", WeightFormat.Int4),
        (EmulatedKernel.WholeNext, WeightFormat.Int4),
    ];

    public static TheoryData<string, WeightFormat> Integer => [.. Emitted.Where(e => e.Data.Item2 != WeightFormat.Bf16)];

    [Theory]
    [MemberData(nameof(Emitted))]
    public void Products_are_right_and_do_not_depend_on_the_number_of_rows(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV);
        for (int inputs = 64; inputs <= 320; inputs += 64)
        {
            using var problem = PanelProblem.Random(weights, 64, inputs, inputs);
            float[] all = problem.Multiply(kernel, 0, 64, inputs);
            problem.AssertProduct(kernel, all, 64, inputs);
            AssertAgrees(weights, problem, all, 64, inputs);
            foreach (int rows in RowCounts)
                Assert.Equal(all[..(rows * PanelProblem.Columns)], problem.Multiply(kernel, 0, rows, inputs));
        }
    }

    // More rows and inputs than one block holds, in each way of spreading the prefetch.
    [Theory]
    [MemberData(nameof(Emitted))]
    public void Many_rows_and_inputs_are_cut_into_blocks(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV);
        const int inputs = 1088, most = 256;
        using var problem = PanelProblem.Random(weights, most, inputs, 9);
        float[] all = problem.Multiply(kernel, 0, most, inputs);
        problem.AssertProduct(kernel, all, most, inputs);
        AssertAgrees(weights, problem, all, most, inputs);
        foreach (int rows in (int[])[1, 31, 33, 49, 97, 128, 243])
            Assert.Equal(all[..(rows * PanelProblem.Columns)], problem.Multiply(kernel, 0, rows, inputs));
    }

    [Theory]
    [MemberData(nameof(Emitted))]
    public void A_prefix_of_the_inputs_is_a_prefix_of_the_panel(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV);
        using var problem = PanelProblem.Random(weights, 13, 640, 3);
        for (int inputs = 64; inputs < 640; inputs += 64)
            problem.AssertProduct(kernel, problem.Multiply(kernel, 0, 13, inputs), 13, inputs);
    }

    [Theory]
    [MemberData(nameof(Emitted))]
    public void Several_panels_are_as_one_by_one(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV, NextPanel);
        using var problem = PanelProblem.Random(weights, 33, 320, 19, panels: 4);
        foreach (int rows in (int[])[1, 9, 33])
        {
            var alone = Enumerable.Range(1, 3).SelectMany(panel => problem.Multiply(kernel, 0, rows, 256, panel)).ToArray();
            Assert.Equal(alone, problem.Multiply(kernel, 0, rows, 256, panel: 1, panelCount: 3));
            Assert.NotEmpty(kernel.Prefetched);
        }
    }

    [Theory]
    [MemberData(nameof(Integer))]
    public void Extreme_integers_do_not_saturate(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV);
        const int inputs = 640;
        float[] values = new float[PanelProblem.Columns * inputs];
        for (int i = 0; i < values.Length; i++)
            values[i] = (i / inputs % 3) switch { 0 => 1, 1 => -1, _ => 1 - i % 2 * 2 };
        float[][] rows = [.. Enumerable.Range(0, 18).Select(r => values[(r * inputs)..((r + 1) * inputs)])];
        using var problem = new PanelProblem(weights, values, rows);
        foreach (int count in (int[])[1, 2, 17, 18])
            AssertAgrees(weights, problem, problem.Multiply(kernel, 0, count, inputs), count, inputs);
    }

    [Theory]
    [MemberData(nameof(Emitted))]
    public void Windows_callers_find_their_registers_again(string name, WeightFormat weights)
    {
        var windows = EmulatedKernel.Create(name, weights, CallAbi.Windows);
        var linux = EmulatedKernel.Create(name, weights, CallAbi.SystemV);
        using var problem = PanelProblem.Random(weights, 45, 320, 11);
        foreach (int rows in (int[])[1, 16, 45])
            Assert.Equal(problem.Multiply(linux, 0, rows, 320), problem.Multiply(windows, 0, rows, 320));
    }

    [Theory]
    [MemberData(nameof(Emitted))]
    public void The_self_check_passes(string name, WeightFormat weights) =>
        Assert.Null(SelfCheck.Compare(EmulatedKernel.Create(name, weights, CallAbi.Windows), Scalar(weights)));

    [Theory]
    [MemberData(nameof(Emitted))]
    public void Every_instruction_is_reached(string name, WeightFormat weights)
    {
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.Windows, NextPanel);
        using var problem = PanelProblem.Random(weights, 256, 576, 13);
        foreach (int rows in (int[])[.. Enumerable.Range(1, 25), 48, 64, 100, 128, 230, 256])
            problem.Multiply(kernel, 0, rows, 576);
        Assert.Empty(kernel.Unreached());
    }

    // The guarded memory sees to it that no more of it is asked for than this panel's prefix has, and nothing without a next panel.
    [Theory]
    [MemberData(nameof(Emitted))]
    public void The_next_panel_is_fetched_meanwhile(string name, WeightFormat weights)
    {
        const int inputs = 1024;
        const ulong fewRowsBytes = 1728, manyRowsBytes = 4032;
        var kernel = EmulatedKernel.Create(name, weights, CallAbi.SystemV, NextPanel);
        using var problem = PanelProblem.Random(weights, 64, 1088, 17);
        foreach (int rows in (int[])[1, 17, 40, 64])
        {
            problem.Multiply(kernel, 0, rows, inputs);
            for (ulong line = 0; line < (rows == 1 ? fewRowsBytes : manyRowsBytes); line += 64)
                Assert.Contains(NextPanel + line, kernel.Prefetched);
        }
    }

    // Integer sums are exact, and floating-point steps prescribed: bit for bit.
    private static void AssertAgrees(WeightFormat weights, PanelProblem problem, float[] found, int rows, int inputs)
    {
        if (weights != WeightFormat.Bf16)
            Assert.Equal(problem.Multiply(Scalar(weights), 0, rows, inputs), found);
    }

    private static PanelKernel Scalar(WeightFormat weights) =>
        KernelTable.Entries.First(e => e.Name == "scalar" && e.Weights == weights).Create();
}

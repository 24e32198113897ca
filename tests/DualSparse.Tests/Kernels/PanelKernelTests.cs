using System.Runtime.CompilerServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Tests.Kernels;

/// <summary>Every kernel of the table that this processor runs, over every remainder.</summary>
public class PanelKernelTests
{
    private static readonly int[] RowCounts = [.. Enumerable.Range(1, 20), 33, 64];

    public static TheoryData<string, WeightFormat> All =>
        [.. KernelTable.Entries.Select(e => (e.Name, e.Weights))];

    public static TheoryData<string, WeightFormat> Integer =>
        [.. KernelTable.Entries.Where(e => e.Weights is WeightFormat.Int8 or WeightFormat.Int4).Select(e => (e.Name, e.Weights))];

    [Theory]
    [MemberData(nameof(All))]
    public void Products_agree_with_double_precision(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        for (int inputs = 64; inputs <= 512; inputs += 64)
        {
            using var problem = PanelProblem.Random(weights, 64, inputs, inputs);
            foreach (int rows in inputs == 64 ? RowCounts : [1, 7, 20])
                problem.AssertProduct(kernel, problem.Multiply(kernel, 0, rows, inputs), rows, inputs);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Rows_are_batch_invariant(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        for (int inputs = 64; inputs <= 512; inputs += 64)
        {
            using var problem = PanelProblem.Random(weights, 64, inputs, -inputs);
            var alone = Enumerable.Range(0, 64).SelectMany(r => problem.Multiply(kernel, r, 1, inputs)).ToArray();
            foreach (int rows in RowCounts)
                Assert.Equal(alone[..(rows * PanelProblem.Columns)], problem.Multiply(kernel, 0, rows, inputs));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_prefix_of_the_inputs_is_a_prefix_of_the_panel(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        using var problem = PanelProblem.Random(weights, 7, 512, 3);
        for (int inputs = 64; inputs < 512; inputs += 64)
            problem.AssertProduct(kernel, problem.Multiply(kernel, 0, 7, inputs), 7, inputs);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Several_panels_are_as_one_by_one(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        using var problem = PanelProblem.Random(weights, 33, 320, 19, panels: 5);
        foreach (int rows in (int[])[1, 2, 5, 9, 16, 33])
        {
            var alone = Enumerable.Range(1, 4).SelectMany(panel => problem.Multiply(kernel, 0, rows, 256, panel)).ToArray();
            Assert.Equal(alone, problem.Multiply(kernel, 0, rows, 256, panel: 1, panelCount: 4));
        }
    }

    [Theory]
    [MemberData(nameof(Integer))]
    public void Integer_kernels_equal_the_reference(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        var scalar = Create("scalar", weights);
        for (int inputs = 64; inputs <= 512; inputs += 64)
        {
            using var problem = PanelProblem.Random(weights, 64, inputs, 7 * inputs);
            foreach (int rows in RowCounts)
                Assert.Equal(problem.Multiply(scalar, 0, rows, inputs), problem.Multiply(kernel, 0, rows, inputs));
        }
    }

    [Theory]
    [MemberData(nameof(Integer))]
    public void Extreme_integers_do_not_overflow(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        var scalar = Create("scalar", weights);
        const int inputs = 16384;
        // Outputs and rows of equal signs, of alternating ones, and of one sign that meets the other: sums of ±127² · 16384.
        float[] values = new float[PanelProblem.Columns * inputs];
        for (int i = 0; i < values.Length; i++)
            values[i] = (i / inputs % 4) switch { 0 => 1, 1 => -1, 2 => 1 - i % 2 * 2, _ => i % 64 < 32 ? -1 : 1 };
        float[][] rows = [.. Enumerable.Range(0, 12).Select(r => values[(r * inputs)..((r + 1) * inputs)])];
        using var problem = new PanelProblem(weights, values, rows);
        var expected = problem.Multiply(scalar, 0, rows.Length, inputs);
        // Ones are 127/127 in int8 and 8/8 in int4: but for the rounding of 1/127 exact.
        Assert.Equal(inputs, expected[0], inputs * 1e-6f);
        Assert.Equal(-inputs, expected[1], inputs * 1e-6f);
        Assert.Equal(expected, problem.Multiply(kernel, 0, rows.Length, inputs));
        Assert.Equal(expected[..PanelProblem.Columns], problem.Multiply(kernel, 0, 1, inputs));
    }

    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void The_512_bit_kernels_are_right_even_where_their_instructions_are_emulated(WeightFormat weights)
    {
        var cpu = CpuFeatures.Current;
        if (!cpu.Avx2)
            Assert.Skip("this processor has no AVX2 to emulate 512-bit instructions with");
        var kernel = KernelTable.Entries.First(e => e.Name == "avx512" && e.Weights == weights).Create();
        using var problem = PanelProblem.Random(weights, 64, 192, 5);
        var alone = Enumerable.Range(0, 64).SelectMany(r => problem.Multiply(kernel, r, 1, 192)).ToArray();
        problem.AssertProduct(kernel, alone, 64, 192);
        foreach (int rows in RowCounts)
            Assert.Equal(alone[..(rows * PanelProblem.Columns)], problem.Multiply(kernel, 0, rows, 192));
        if (weights is WeightFormat.Int8 or WeightFormat.Int4)
            Assert.Equal(problem.Multiply(Create("scalar", weights), 0, 64, 192), alone);
    }

    // With tiles a signal's frame is larger than the runtime has room for (SignalStack).
    [Theory]
    [MemberData(nameof(All))]
    public void A_null_reference_is_still_an_exception_afterwards(string name, WeightFormat weights)
    {
        var kernel = Create(name, weights);
        using var problem = PanelProblem.Random(weights, 16, 64, 21);
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            problem.Multiply(kernel, 0, 16, 64);
            thrown = Record.Exception(() => LengthOf(null!));
        });
        thread.Start();
        thread.Join();
        Assert.IsType<NullReferenceException>(thrown);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int LengthOf(int[] values) => values.Length;

    private static PanelKernel Create(string name, WeightFormat weights)
    {
        var entry = KernelTable.Entries.First(e => e.Name == name && e.Weights == weights);
        if (entry.Refusal(CpuFeatures.Current) is { } reason)
            Assert.Skip($"{name}: {reason}");
        return entry.Create();
    }
}

using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public unsafe class ActivationRowsTests
{
    [Theory]
    [InlineData(ActivationFormat.F32)]
    [InlineData(ActivationFormat.Bf16)]
    [InlineData(ActivationFormat.Int8)]
    [InlineData(ActivationFormat.Int16)]
    public void Every_length_is_encoded_and_padded_with_zeros(object kind)
    {
        var format = (ActivationFormat)kind;
        using var rows = new ActivationRows();
        var random = new Random(1);
        for (int length = 0; length <= 200; length++)
        {
            float[] source = PanelProblem.Normal(random, length, 3);
            rows.Reset(format, 2, length);
            new Span<byte>(rows.Row(1), (int)rows.RowBytes).Fill(0x55);
            rows.Encode(1, source);
            AssertRow(rows, format, source);
        }
    }

    [Theory]
    [InlineData(ActivationFormat.Int8)]
    [InlineData(ActivationFormat.Int16)]
    public void Ties_go_to_the_even_integer(object kind)
    {
        var format = (ActivationFormat)kind;
        // The largest is 127, so the scale is 1 and halves are ties.
        float[] source = [127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f, -127, 3.4999998f, 3.5000002f];
        int[] expected = [127, 0, 2, 2, 0, -2, -2, 126, -126, -127, 3, 4];
        using var rows = new ActivationRows();
        rows.Reset(format, 2, source.Length);
        rows.Encode(1, source);
        var args = rows.Args(WeightFormat.Int8, 1, 1, 64);
        Assert.Equal(expected, Enumerable.Range(0, source.Length).Select(k => Integer(args, format, k)));
        Assert.Equal(expected.Sum(), args.RowSums[0]);
        Assert.Equal(1, args.RowScales[0]);
    }

    [Theory]
    [InlineData(ActivationFormat.Int8)]
    [InlineData(ActivationFormat.Int16)]
    public void Zeros_and_odd_values_harm_nothing(object kind)
    {
        var format = (ActivationFormat)kind;
        using var rows = new ActivationRows();
        rows.Reset(format, 1, 64);
        rows.Encode(0, new float[64]);
        Assert.Equal(0, rows.Args(WeightFormat.Int8, 0, 1, 64).RowSums[0]);
        rows.Encode(0, [float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, -0f]);
    }

    [Fact]
    public void Copies_are_equal_bytes_scales_and_sums()
    {
        using var source = new ActivationRows();
        using var target = new ActivationRows();
        source.Reset(ActivationFormat.Int8, 3, 96);
        target.Reset(ActivationFormat.Int8, 5, 96);
        source.Encode(2, PanelProblem.Normal(new Random(3), 96, 1));
        target.Copy(4, source, 2);
        PanelArgs a = source.Args(WeightFormat.Int8, 2, 1, 128), b = target.Args(WeightFormat.Int8, 4, 1, 128);
        Assert.True(new ReadOnlySpan<byte>(a.Rows, 128).SequenceEqual(new ReadOnlySpan<byte>(b.Rows, 128)));
        Assert.Equal(a.RowScales[0], b.RowScales[0]);
        Assert.True(new ReadOnlySpan<int>(a.RowSums, 5).SequenceEqual(new ReadOnlySpan<int>(b.RowSums, 5)));
    }

    private static void AssertRow(ActivationRows rows, ActivationFormat format, float[] source)
    {
        int inputs = PanelLayout.PadInputs(source.Length);
        Assert.Equal(inputs, rows.Inputs);
        var args = rows.Args(WeightFormat.Int8, 1, 1, inputs);
        if (format is ActivationFormat.F32 or ActivationFormat.Bf16)
        {
            for (int k = 0; k < inputs; k++)
            {
                float expected = k < source.Length ? source[k] : 0;
                float actual = format == ActivationFormat.F32 ? ((float*)args.Rows)[k] : Bf16.ToSingle(((ushort*)args.Rows)[k]);
                Assert.Equal(format == ActivationFormat.F32 ? expected : Bf16.ToSingle(Bf16.FromSingle(expected)), actual);
            }

            return;
        }

        float largest = source.Length == 0 ? 0 : source.Max(Math.Abs);
        Assert.Equal(largest / 127, args.RowScales[0]);
        int total = 0;
        for (int group = 0; group < inputs / PanelLayout.GroupInputs; group++)
        {
            int sum = 0;
            for (int k = group * PanelLayout.GroupInputs; k < (group + 1) * PanelLayout.GroupInputs; k++)
            {
                int expected = k < source.Length ? (int)MathF.Round(source[k] * (127 / largest)) : 0;
                Assert.Equal(expected, Integer(args, format, k));
                sum += expected;
            }

            Assert.Equal(sum, args.RowSums[1 + group]);
            total += sum;
        }

        if (inputs > 0)
            Assert.Equal(total, args.RowSums[0]);
    }

    private static int Integer(PanelArgs args, ActivationFormat format, int k) =>
        format == ActivationFormat.Int8 ? ((sbyte*)args.Rows)[k] : ((short*)args.Rows)[k];

    [Fact]
    public void Memory_that_there_is_not_leaves_the_scratch_usable()
    {
        using var rows = new ActivationRows();
        rows.Reset(ActivationFormat.F32, 10, 64);
        Assert.Throws<OutOfMemoryException>(() => rows.Reset(ActivationFormat.F32, int.MaxValue - 100, 1 << 24));
        rows.Reset(ActivationFormat.F32, 1, 64);
        rows.Encode(0, new float[64]);

        using var scratch = new ScratchBuffer();
        scratch.Floats(1000);
        Assert.Throws<OutOfMemoryException>(() => { scratch.Floats((nint)1 << 46); });
        Assert.Throws<InvalidOperationException>(() => { _ = scratch.Current; });
        scratch.Floats(10)[0] = 1;
        Assert.Equal(1, scratch.Current[0]);
    }
}

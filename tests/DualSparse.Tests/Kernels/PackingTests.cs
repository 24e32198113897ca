using DualSparse.Kernels;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public class PackingTests
{
    private const int Columns = PanelLayout.Columns;

    // Where int4's search puts a group's largest magnitude.
    private static readonly float[] Targets = [-8, 7, -7, 8, -7.5f, 7.5f, -8.6f, 8.6f];

    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Each_weight_is_the_nearest_that_its_format_holds(WeightFormat format)
    {
        for (int inputs = 64; inputs <= 640; inputs += 64)
        {
            float[] weights = PanelProblem.Normal(new Random(inputs), Columns * inputs, 0.05f);
            using var block = new AlignedBuffer(PackedMatrix.SizeBytes(format, Columns, inputs));
            var matrix = new PackedMatrix(format, Columns, inputs, block, 0);
            matrix.PackPanel(0, weights);
            for (int c = 0; c < Columns; c++)
            {
                var row = weights.AsSpan(c * inputs, inputs);
                for (int k = 0; k < inputs; k++)
                {
                    double error = Math.Abs(row[k] - PanelValues.Weight(matrix, c, k));
                    Assert.True(error <= Tolerance(matrix, row, c, k), $"{inputs}: output {c} input {k}: off by {error}");
                }
            }
        }
    }

    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Bf16_sources_pack_to_the_same_bytes(WeightFormat format)
    {
        const int inputs = 448;
        var halves = new ushort[Columns * inputs];
        Bf16.FromSingle(PanelProblem.Normal(new Random(4), halves.Length, 1), halves);
        var wide = new float[halves.Length];
        Bf16.ToSingle(halves, wide);
        using var block = new AlignedBuffer(2 * PackedMatrix.SizeBytes(format, Columns, inputs));
        var first = new PackedMatrix(format, Columns, inputs, block, 0);
        var second = new PackedMatrix(format, Columns, inputs, block, first.Bytes);
        first.PackPanel(0, wide);
        second.PackPanelBf16(0, halves);
        var bytes = block.AsSpan<byte>();
        Assert.True(bytes[..(int)first.Bytes].SequenceEqual(bytes[(int)first.Bytes..]));
    }

    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Zeros_stay_zeros(WeightFormat format)
    {
        using var block = new AlignedBuffer(PackedMatrix.SizeBytes(format, Columns, 64));
        var matrix = new PackedMatrix(format, Columns, 64, block, 0);
        matrix.PackPanel(0, new float[Columns * 64]);
        for (int c = 0; c < Columns; c++)
            Assert.All(Enumerable.Range(0, 64), k => Assert.Equal(0, PanelValues.Weight(matrix, c, k)));
    }

    [Fact]
    public void Int4_groups_are_closer_than_plain_rounding()
    {
        const int inputs = 4096;
        float[] weights = PanelProblem.Normal(new Random(9), Columns * inputs, 0.02f);
        using var block = new AlignedBuffer(PackedMatrix.SizeBytes(WeightFormat.Int4, Columns, inputs));
        var matrix = new PackedMatrix(WeightFormat.Int4, Columns, inputs, block, 0);
        matrix.PackPanel(0, weights);
        double ours = 0, plain = 0;
        for (int start = 0; start < weights.Length; start += PanelLayout.GroupInputs)
        {
            var group = weights.AsSpan(start, PanelLayout.GroupInputs);
            float scale = group.ToArray().Max(Math.Abs) / 7;
            double oursGroup = 0, best = double.PositiveInfinity;
            for (int i = 0; i < group.Length; i++)
            {
                oursGroup += Square(group[i] - PanelValues.Weight(matrix, start / inputs, start % inputs + i));
                plain += Square(group[i] - scale * Math.Round(group[i] / scale));
            }

            // No group is worse than with any of the scales that the search knows, but for the rounding of single precision.
            foreach (float target in Targets)
                best = Math.Min(best, Error(group, Bf16.ToSingle(Bf16.FromSingle(scale * 7 / target))));
            Assert.True(oursGroup <= best * 1.0001, $"group at {start}: {oursGroup}, best {best}");
            ours += oursGroup;
        }

        Assert.True(ours < 0.9 * plain, $"{ours} against {plain}");
    }

    private static double Tolerance(PackedMatrix matrix, ReadOnlySpan<float> row, int output, int input)
    {
        switch (matrix.Format)
        {
            case WeightFormat.F32:
                return 0;
            case WeightFormat.Bf16:
                return Math.Abs(row[input]) / 256;
            case WeightFormat.Int8:
                // Half a step, and the rounding of the scale and the quotient.
                return row.ToArray().Max(Math.Abs) / 127 * 0.5001;
            default:
                // Half a step of one of the scales that the search knows; a weight beyond −8 or 7 steps is clipped to them.
                float largest = row.Slice(input / 32 * 32, 32).ToArray().Max(Math.Abs), scale = PanelValues.GroupScale(matrix, output, input);
                Assert.Contains(scale, Targets.Select(t => Bf16.ToSingle(Bf16.FromSingle(largest / t))));
                double steps = row[input] / scale;
                return Math.Abs(scale) * Math.Max(0.5001, Math.Max(-8 - steps, steps - 7) * 1.0001);
        }
    }

    private static double Error(ReadOnlySpan<float> group, float scale)
    {
        double error = 0;
        foreach (float weight in group)
            error += Square(weight - scale * Math.Clamp(MathF.Round(weight * (1 / scale)), -8, 7));
        return error;
    }

    private static double Square(double value) => value * value;

    [Theory]
    [InlineData(WeightFormat.F32, float.NaN)]
    [InlineData(WeightFormat.Bf16, float.NaN)]
    [InlineData(WeightFormat.Int8, float.NaN)]
    [InlineData(WeightFormat.Int4, float.NaN)]
    [InlineData(WeightFormat.Int4, float.PositiveInfinity)]
    public void A_weight_that_is_no_number_is_not_hidden(WeightFormat format, float weight)
    {
        float[] weights = PanelProblem.Normal(new Random(1), Columns * 64, 0.05f);
        weights[3 * 64 + 40] = weight;
        using var block = new AlignedBuffer(PackedMatrix.SizeBytes(format, Columns, 64));
        var matrix = new PackedMatrix(format, Columns, 64, block, 0);
        matrix.PackPanel(0, weights);
        Assert.False(double.IsFinite(PanelValues.Weight(matrix, 3, 40)));
        Assert.True(double.IsFinite(PanelValues.Weight(matrix, 4, 40)));
    }
}

using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public unsafe class PanelConvertTests
{
    private const int Columns = PanelLayout.Columns;

    // Outputs with and without a last panel of padding, inputs with and without padding, past one piece and one group.
    private static readonly (int Outputs, int Inputs)[] Shapes = [(32, 64), (40, 1), (1, 80), (64, 128), (70, 450), (33, 1088)];

    public static IEnumerable<TheoryDataRow<WeightFormat, WeightFormat>> Pairs() =>
        from source in Enum.GetValues<WeightFormat>()
        from target in Enum.GetValues<WeightFormat>()
        select new TheoryDataRow<WeightFormat, WeightFormat>(source, target);

    public static TheoryData<WeightFormat> Targets => [.. Enum.GetValues<WeightFormat>()];

    /// <summary>What the source holds by the layout's definition, packed anew; of its own format: the same bytes.</summary>
    [Theory]
    [MemberData(nameof(Pairs))]
    public void Converts_to_what_packing_the_same_weights_gives(WeightFormat from, WeightFormat to)
    {
        foreach (var shape in Shapes)
        {
            using var source = new PackedSet(from, 1, shape);
            using var found = Poisoned(to, shape);
            using var expected = Poisoned(to, shape);
            Pack(source.Matrices[0], shape, new Random(shape.Inputs));
            for (int panel = 0; panel < source.Matrices[0].PanelCount; panel++)
            {
                found.Matrices[0].ConvertPanel(panel, source.Matrices[0]);
                if (from == to)
                    Bytes(source.Matrices[0], panel).CopyTo(Bytes(expected.Matrices[0], panel));
                else
                    expected.Matrices[0].PackPanel(panel, Decoded(source.Matrices[0], panel, source.Matrices[0].Inputs));
            }

            AssertEqual(expected, found, $"{shape}");
        }
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void From_bf16_it_is_as_packed_from_the_checkpoint(WeightFormat to)
    {
        const int inputs = 1088;
        ushort[] halves = new ushort[Columns * inputs];
        Bf16.FromSingle(PanelProblem.Normal(new Random(1), halves.Length, 0.05f), halves);
        using var source = new PackedSet(WeightFormat.Bf16, 1, (Columns, inputs));
        using var found = Poisoned(to, (Columns, inputs));
        using var expected = Poisoned(to, (Columns, inputs));
        source.Matrices[0].PackPanelBf16(0, halves);
        expected.Matrices[0].PackPanelBf16(0, halves);
        found.Matrices[0].ConvertPanel(0, source.Matrices[0]);
        AssertEqual(expected, found, "");
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Odd_values_are_converted_as_they_are_packed(WeightFormat to)
    {
        const int inputs = 128;
        float[] odd = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, 1e-40f, -0f, float.MaxValue, 0];
        float[] rows = PanelProblem.Normal(new Random(2), Columns * inputs, 0.05f);
        for (int c = 0; c < Columns; c++)
        {
            // Alone in a row of zeros, beside ordinary weights, and all ordinary.
            if (c % 3 == 0)
                rows.AsSpan(c * inputs, inputs).Clear();
            if (c % 3 < 2)
                rows[c * inputs + 7 * c % inputs] = odd[c / 3 % odd.Length];
        }

        using var source = new PackedSet(WeightFormat.F32, 1, (Columns, inputs));
        using var found = Poisoned(to, (Columns, inputs));
        using var expected = Poisoned(to, (Columns, inputs));
        source.Matrices[0].PackPanel(0, rows);
        expected.Matrices[0].PackPanel(0, rows);
        found.Matrices[0].ConvertPanel(0, source.Matrices[0]);
        AssertEqual(expected, found, "");
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_prefix_is_converted_as_a_matrix_of_its_own(WeightFormat from, WeightFormat to)
    {
        const int inputs = 320;
        using var source = new PackedSet(from, 1, (Columns, inputs));
        Pack(source.Matrices[0], (Columns, inputs), new Random(3));
        foreach (int prefix in (int[])[64, 192])
        {
            using var found = Poisoned(to, (Columns, inputs));
            using var expected = Poisoned(to, (Columns, inputs));
            PanelConvert.Run(from, source.Matrices[0].Panel(0), to, found.Matrices[0].Panel(0), prefix);
            if (from == to)
                new ReadOnlySpan<byte>(source.Matrices[0].Panel(0), (int)PanelLayout.PanelBytes(from, prefix)).CopyTo(Bytes(expected.Matrices[0], 0));
            else
                Packed(to, Decoded(source.Matrices[0], 0, prefix), prefix).CopyTo(Bytes(expected.Matrices[0], 0));
            AssertEqual(expected, found, $"{prefix}");
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Takes_no_memory(WeightFormat from, WeightFormat to)
    {
        using var source = new PackedSet(from, 1, (Columns, 1088));
        using var target = new PackedSet(to, 1, (Columns, 1088));
        Pack(source.Matrices[0], (Columns, 1088), new Random(4));
        target.Matrices[0].ConvertPanel(0, source.Matrices[0]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        target.Matrices[0].ConvertPanel(0, source.Matrices[0]);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Shapes_that_differ_are_refused()
    {
        using var set = new PackedSet(WeightFormat.F32, 1, (32, 64), (32, 128), (64, 64));
        Assert.Contains("expected a matrix of [32, 64], found [32, 128]",
            Assert.Throws<ArgumentException>(() => set.Matrices[0].ConvertPanel(0, set.Matrices[1])).Message);
        Assert.Throws<ArgumentException>(() => set.Matrices[0].ConvertPanel(0, set.Matrices[2]));
        Assert.Throws<ArgumentException>(() => PanelConvert.Run(WeightFormat.F32, null, WeightFormat.Bf16, null, 32));
        Assert.Throws<ArgumentException>(() => PanelConvert.Run(WeightFormat.F32, null, WeightFormat.Bf16, null, 0));
    }

    // What a conversion leaves as it was would show.
    private static PackedSet Poisoned(WeightFormat format, (int Outputs, int Inputs) shape)
    {
        var set = new PackedSet(format, 1, shape);
        for (int panel = 0; panel < set.Matrices[0].PanelCount; panel++)
            Bytes(set.Matrices[0], panel).Fill(0xA5);
        return set;
    }

    private static void Pack(PackedMatrix matrix, (int Outputs, int Inputs) shape, Random random)
    {
        for (int panel = 0; panel < matrix.PanelCount; panel++)
        {
            float[] rows = new float[Columns * matrix.Inputs];
            for (int c = 0; c < Math.Min(Columns, shape.Outputs - panel * Columns); c++)
                PanelProblem.Normal(random, shape.Inputs, 0.05f).CopyTo(rows.AsSpan(c * matrix.Inputs));
            matrix.PackPanel(panel, rows);
        }
    }

    private static float[] Decoded(PackedMatrix matrix, int panel, int inputs)
    {
        float[] rows = new float[Columns * inputs];
        for (int c = 0; c < Columns; c++)
        {
            for (int k = 0; k < inputs; k++)
                rows[c * inputs + k] = (float)PanelValues.Weight(matrix, panel * Columns + c, k);
        }

        return rows;
    }

    private static byte[] Packed(WeightFormat format, float[] rows, int inputs)
    {
        using var set = new PackedSet(format, 1, (Columns, inputs));
        set.Matrices[0].PackPanel(0, rows);
        return Bytes(set.Matrices[0], 0).ToArray();
    }

    private static Span<byte> Bytes(PackedMatrix matrix, int panel) => new(matrix.Panel(panel), (int)matrix.PanelBytes);

    private static void AssertEqual(PackedSet expected, PackedSet found, string what)
    {
        for (int panel = 0; panel < expected.Matrices[0].PanelCount; panel++)
        {
            Span<byte> a = Bytes(expected.Matrices[0], panel), b = Bytes(found.Matrices[0], panel);
            int same = a.CommonPrefixLength(b);
            Assert.True(same == a.Length, $"{what}: panel {panel} differs at byte {same} of {a.Length}");
        }
    }
}

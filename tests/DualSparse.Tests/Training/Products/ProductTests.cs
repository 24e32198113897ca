using DualSparse.Kernels;
using DualSparse.Training;
using DualSparse.Training.Products;

namespace DualSparse.Tests.Training.Products;

/// <summary>Products of operands made by rows and by columns, against sums in double over what the operands hold.</summary>
public unsafe class ProductTests
{
    // Rows, inputs and outputs: whole blocks, and edges of every kind.
    public static TheoryData<string, int, int, int> Shapes
    {
        get
        {
            var data = new TheoryData<string, int, int, int>();
            foreach (string format in new[] { nameof(ProductFormat.F32), nameof(ProductFormat.Bf16) })
            {
                foreach (var (rows, inputs, outputs) in new[] { (128, 64, 32), (1, 1, 1), (130, 67, 33), (17, 48, 95), (300, 129, 64) })
                    data.Add(format, rows, inputs, outputs);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Rows_times_rows_and_columns_times_columns(string format, int rows, int inputs, int outputs)
    {
        var arithmetic = new Arithmetic(Enum.Parse<ProductFormat>(format));
        var left = FloatBlock.Random(rows * inputs, seed: 1);
        var right = FloatBlock.Random(outputs * inputs, seed: 2);
        double[] expected = Expected(arithmetic, left.Values, right.Values, rows, inputs, outputs);
        var (leftTurned, rightTurned) = (Turned(left.Values, rows, inputs), Turned(right.Values, outputs, inputs));
        int[] order = [.. Enumerable.Range(0, inputs)];
        foreach (bool leftByColumns in new[] { false, true })
        {
            foreach (bool rightByColumns in new[] { false, true })
            {
                var result = new float[rows * outputs];
                using var scratch = new Scratch();
                nint rowBytes = arithmetic.RowBytes(inputs), panelBytes = arithmetic.PanelBytes(inputs);
                byte* a = scratch.Take(arithmetic.RowsBytes(rows + 32, inputs)), b = scratch.Take(arithmetic.PanelsBytes(outputs, inputs)), steps = scratch.Take(panelBytes);
                float* tile = scratch.Floats(Product.TileBytes / sizeof(float));
                fixed (int* index = order)
                fixed (float* y = result)
                {
                    if (leftByColumns)
                        Columns.ToRows(arithmetic, leftTurned.Pointer, rows, index, inputs, rows, a, rowBytes, steps);
                    else
                        Rows.Encode(arithmetic, left.Pointer, inputs, null, rows, inputs, a, rowBytes);
                    if (rightByColumns)
                        Columns.ToPanels(arithmetic, rightTurned.Pointer, outputs, index, inputs, outputs, b, panelBytes);
                    else
                        Rows.ToPanels(arithmetic, right.Pointer, inputs, outputs, inputs, b, panelBytes);
                    Product.Run(arithmetic, a, rowBytes, rows, b, panelBytes, outputs, inputs, tile, new StoreTile(y, outputs));
                    // Once more, added.
                    Product.Run(arithmetic, a, rowBytes, rows, b, panelBytes, outputs, inputs, tile, new AddTile(y, outputs));
                }

                for (int i = 0; i < result.Length; i++)
                    Assert.InRange(result[i], 2 * expected[i] - 2e-5 * Math.Sqrt(inputs), 2 * expected[i] + 2e-5 * Math.Sqrt(inputs));
            }
        }
    }

    [Fact]
    public void Indexed_rows_are_gathered()
    {
        var arithmetic = new Arithmetic(ProductFormat.F32);
        var source = FloatBlock.Random(10 * 8, seed: 3);
        int[] order = [7, 0, 7, 3];
        using var scratch = new Scratch();
        nint rowBytes = arithmetic.RowBytes(8);
        byte* rows = scratch.Take(arithmetic.RowsBytes(4, 8));
        fixed (int* index = order)
            Rows.Encode(arithmetic, source.Pointer, 8, index, 4, 8, rows, rowBytes);
        for (int r = 0; r < 4; r++)
            Assert.Equal(source.Values.AsSpan(order[r] * 8, 8).ToArray(), new ReadOnlySpan<float>(rows + r * rowBytes, 8).ToArray());
    }

    private static double[] Expected(Arithmetic arithmetic, float[] left, float[] right, int rows, int inputs, int outputs)
    {
        var result = new double[rows * outputs];
        for (int r = 0; r < rows; r++)
        {
            for (int o = 0; o < outputs; o++)
            {
                for (int k = 0; k < inputs; k++)
                    result[r * outputs + o] += (double)Held(left[r * inputs + k], arithmetic.IsBf16 && arithmetic.ElementBytes == 2) * Held(right[o * inputs + k], arithmetic.IsBf16);
            }
        }

        return result;
    }

    private static float Held(float value, bool rounded) => rounded ? Bf16.ToSingle(Bf16.FromSingle(value)) : value;

    private static FloatBlock Turned(float[] matrix, int rows, int columns)
    {
        var turned = new FloatBlock(matrix.Length);
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                turned.Values[c * rows + r] = matrix[r * columns + c];
        }

        return turned;
    }
}

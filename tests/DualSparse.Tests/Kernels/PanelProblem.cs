using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

/// <summary>Rows, one packed panel, and their product by a kernel or by definition in double precision.</summary>
internal sealed unsafe class PanelProblem : IDisposable
{
    public const int Columns = PanelLayout.Columns;
    private const float Canary = 12345.678f;

    // Of ‖x‖·‖w‖, which bounds the product and its partial sums. Roundings go up as often as down, so those of n additions come to about
    // √n·ε/2 of it: 2·10⁻⁶ for n = 1088, the most that is tested. Of random operands a product is about ‖x‖·‖w‖/√n; a scale that is wrong
    // by 1 % moves it by 3·10⁻⁴ of ‖x‖·‖w‖ there.
    private const double NormTolerance = 1e-5;

    private readonly AlignedBuffer block;
    private readonly PackedMatrix matrix;
    private readonly float[][] rows;

    /// <summary>Panels of [32, inputs] weights and as many rows as <paramref name="rows"/> has.</summary>
    public PanelProblem(WeightFormat format, float[] weights, float[][] rows, int panels = 1)
    {
        int inputs = weights.Length / (panels * Columns);
        this.rows = rows;
        block = new AlignedBuffer(PackedMatrix.SizeBytes(format, panels * Columns, inputs));
        matrix = new PackedMatrix(format, panels * Columns, inputs, block, 0);
        for (int panel = 0; panel < panels; panel++)
            matrix.PackPanel(panel, weights.AsSpan(panel * Columns * inputs, Columns * inputs));
    }

    public static PanelProblem Random(WeightFormat format, int rowCount, int inputs, int seed, int panels = 1)
    {
        var random = new Random(seed);
        float[] weights = Normal(random, panels * Columns * inputs, 0.05f);
        return new PanelProblem(format, weights, [.. Enumerable.Range(0, rowCount).Select(_ => Normal(random, inputs, 1))], panels);
    }

    public static float[] Normal(Random random, int count, float deviation)
    {
        var values = new float[count];
        foreach (ref float value in values.AsSpan())
            value = deviation * MathF.Sqrt(-2 * MathF.Log(1 - random.NextSingle())) * MathF.Cos(MathF.Tau * random.NextSingle());
        return values;
    }

    /// <summary>
    /// [panelCount, rowCount, 32]: rows from <paramref name="first"/> on by the kernel, over the first inputs only, and panels from
    /// <paramref name="panel"/> on.
    /// </summary>
    public float[] Multiply(PanelKernel kernel, int first, int rowCount, int inputs, int panel = 0, int panelCount = 1)
    {
        using var encoded = Encode(kernel.Activations, inputs);
        int room = (panelCount - 1) * rowCount + (rowCount + PanelLayout.RowAlignment - 1) / PanelLayout.RowAlignment * PanelLayout.RowAlignment;
        using var result = new AlignedBuffer((nuint)(room + 1) * Columns * sizeof(float));
        var values = result.AsSpan<float>();
        values.Fill(Canary);
        var args = encoded.Args(kernel.Weights, first, rowCount, inputs);
        args.Panel = matrix.Panel(panel);
        args.PanelCount = panelCount;
        args.PanelBytes = matrix.PanelBytes;
        args.Result = (float*)result.Pointer;
        kernel.Multiply(args);
        Assert.All(values[(room * Columns)..].ToArray(), v => Assert.Equal(Canary, v));
        return values[..(panelCount * rowCount * Columns)].ToArray();
    }

    /// <summary>Asserts that <paramref name="actual"/>, [rowCount, 32], is the product of the encoded rows and weights.</summary>
    public void AssertProduct(PanelKernel kernel, float[] actual, int rowCount, int inputs)
    {
        using var encoded = Encode(kernel.Activations, inputs);
        var args = encoded.Args(kernel.Weights, 0, rowCount, inputs);
        for (int r = 0; r < rowCount; r++)
        {
            for (int c = 0; c < Columns; c++)
            {
                double sum = 0, magnitude = 0, rowSquares = 0, weightSquares = 0;
                for (int k = 0; k < inputs; k++)
                {
                    double x = PanelValues.Activation(args, kernel.Activations, r, k), w = PanelValues.Weight(matrix, c, k);
                    sum += x * w;
                    magnitude += Math.Abs(x * w);
                    rowSquares += x * x;
                    weightSquares += w * w;
                }

                // Each of n additions rounds to within ε/2 of a partial sum that is at most Σ|x·w|; three more operations scale it.
                double worst = (inputs + 3) * Math.Pow(2, -24) * magnitude;
                double tolerance = Math.Min(worst, NormTolerance * Math.Sqrt(rowSquares * weightSquares)) + 1e-30;
                double error = Math.Abs(actual[r * Columns + c] - sum);
                Assert.True(error <= tolerance, $"row {r} column {c} of {rowCount}×{inputs}: {actual[r * Columns + c]} for {sum}");
            }
        }
    }

    public void Dispose() => block.Dispose();

    private ActivationRows Encode(ActivationFormat format, int inputs)
    {
        var encoded = new ActivationRows();
        encoded.Reset(format, rows.Length, inputs);
        for (int r = 0; r < rows.Length; r++)
            encoded.Encode(r, rows[r].AsSpan(0, inputs));
        return encoded;
    }
}

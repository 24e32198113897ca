using System.Runtime.InteropServices;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Benchmarking;

/// <summary>Experts with random weights, written directly in packed form. Their outputs are finite and otherwise meaningless.</summary>
internal static unsafe class RandomExperts
{
    // Random values to draw from: repetition doesn't change the arithmetic, and a gigabyte is ready in a second.
    private const int Period = 1 << 16;

    /// <summary>A linear map in f32.</summary>
    public static Linear Linear(int outputs, int inputs)
    {
        var linear = new Linear(WeightFormat.F32, outputs, inputs);
        Fill(linear.Weights, Values(inputs, seed: 99));
        return linear;
    }

    public static PackedExperts Make(WeightFormat format, int count, int hidden, int neurons, int seed)
    {
        var experts = new PackedExperts(format, count, hidden, neurons);
        float[] values = Values(hidden, seed);
        for (int e = 0; e < count; e++)
        {
            Fill(experts.GateUp(e), values);
            Fill(experts.Down(e), values);
        }

        return experts;
    }

    private static float[] Values(int inputs, int seed)
    {
        var random = new Random(seed);
        float scale = 1 / MathF.Sqrt(inputs);
        var values = new float[Period];
        foreach (ref float value in values.AsSpan())
            value = MathF.CopySign((random.NextSingle() + 0.1f) * scale, random.NextSingle() - 0.5f);
        return values;
    }

    // Packs the first panel; the others are copies of it in distinct memory.
    private static void Fill(PackedMatrix matrix, float[] values)
    {
        var rows = new float[PanelLayout.Columns * matrix.Inputs];
        for (int i = 0; i < rows.Length; i++)
            rows[i] = values[(i * 31 + i / Period) % Period];
        matrix.PackPanel(0, rows);
        for (int panel = 1; panel < matrix.PanelCount; panel++)
            NativeMemory.Copy(matrix.Panel(0), matrix.Panel(panel), (nuint)matrix.PanelBytes);
    }
}

using System.Runtime.InteropServices;
using DualSparse.Benchmarking;
using DualSparse.Engine.Moe;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Models;
using Microsoft.ML.OnnxRuntime;

namespace DualSparse.Benchmarks.Ort;

/// <summary>
/// The same random experts twice: packed for our kernels, and in an ONNX Runtime session. Both sides start from router logits and end with
/// the layer's output. Experts differ from each other; within one, 32 rows repeat, in distinct memory. Weights are small multiples of one
/// power of two, which both quantisers represent exactly: outputs differ only by the rounding of activations.
/// </summary>
internal sealed unsafe class LayerPair : IDisposable
{
    private readonly MoeConfig config;
    private readonly PackedExperts ours;
    private readonly InferenceSession theirs;
    private readonly RoutingPlan plan = new();
    private readonly ExpertBatch batch = new();
    private readonly RunOptions options = new();
    private readonly ExpertPlacement placement;
    private float[] scores = [];

    public LayerPair(LayerShape shape, WeightFormat format, SessionOptions session, int seed)
    {
        config = new MoeConfig { Experts = shape.Experts, TopK = shape.TopK, Intermediate = shape.Neurons, NormTopK = true };
        placement = ExpertPlacement.SingleRank(shape.Experts);
        ours = new PackedExperts(format, shape.Experts, shape.Hidden, shape.Neurons);
        int bits = format == WeightFormat.Int4 ? 4 : 8;
        var quantised = new BlockQuantised(shape, bits);
        var random = new Random(seed);
        var gateUp = new float[PanelLayout.Columns * shape.Hidden];
        var interleaved = new float[gateUp.Length];
        var down = new float[PanelLayout.Columns * shape.Neurons];
        for (int e = 0; e < shape.Experts; e++)
        {
            Fill(gateUp, random, bits, shape.Hidden);
            Fill(down, random, bits, shape.Neurons);
            for (int r = 0; r < PanelLayout.Columns; r++)
                gateUp.AsSpan((r / 2 + r % 2 * NeuronLayout.PerPanel) * shape.Hidden, shape.Hidden).CopyTo(interleaved.AsSpan(r * shape.Hidden));
            Pack(ours.GateUp(e), gateUp);
            Pack(ours.Down(e), down);
            quantised.Set(e, interleaved, down);
        }

        theirs = new InferenceSession(QMoeModel.Make(shape, bits, quantised), session);
    }

    /// <summary>Ours: softmax and choice of experts, row lists, both products, weighted sum.</summary>
    public void Ours(Workspace work, float[] logits, float[] x, float[] y, int tokens)
    {
        plan.Reset(tokens, config.TopK);
        if (scores.Length < logits.Length)
            scores = new float[logits.Length];
        logits.CopyTo(scores, 0);
        fixed (float* logit = scores)
            RouterRule.Choose(work.Team, config, logit, plan);
        RowLists.Build(plan, placement, 0, batch);
        Array.Clear(y);
        fixed (float* from = x, to = y)
            GroupedGemm.Forward(work, ours, batch, from, tokens, to);
    }

    /// <summary>Theirs: choice of experts, softmax over the chosen, both products, weighted sum.</summary>
    public void Theirs(OrtValue logits, OrtValue x, OrtValue y) =>
        theirs.Run(options, [QMoeModel.Input, QMoeModel.Logits], [x, logits], [QMoeModel.Output], [y]);

    public void Dispose()
    {
        theirs.Dispose();
        options.Dispose();
        ours.Dispose();
    }

    private static void Pack(PackedMatrix matrix, float[] rows)
    {
        matrix.PackPanel(0, rows);
        for (int panel = 1; panel < matrix.PanelCount; panel++)
            NativeMemory.Copy(matrix.Panel(0), matrix.Panel(panel), (nuint)matrix.PanelBytes);
    }

    // Each block's largest magnitude is the format's, so that its scale is the power of two; sums over the inputs are near 1.
    private static void Fill(float[] values, Random random, int bits, int inputs)
    {
        int most = (1 << (bits - 1)) - 1;
        float scale = MathF.ScaleB(1, (int)MathF.Round(MathF.Log2(4 / MathF.Sqrt(inputs) / most)));
        for (int i = 0; i < values.Length; i++)
            values[i] = scale * (i % BlockQuantised.Block == 0 ? most : random.Next(-most, most + 1));
    }
}

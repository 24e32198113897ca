using CsCheck;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>An expert as its two halves: all of it, once; and what one threshold makes of two.</summary>
public class PartialTransformationTests
{
    private static readonly int[] s_ids = [.. Enumerable.Range(3, 37)];

    [Fact]
    public void Two_halves_are_every_neuron_once_and_give_the_order_back() => Gen.Int[1, 700].Sample(neurons =>
    {
        var layout = new NeuronLayout(neurons);
        int[] kept = [.. Enumerable.Range(0, layout.Padded).Select(layout.NeuronAt).Where(n => n >= 0)];
        Assert.Equal(Enumerable.Range(0, neurons), kept);
        Assert.Equal(layout.Major, Enumerable.Range(0, layout.MajorPadded).Count(p => layout.NeuronAt(p) >= 0));
    });

    [Fact]
    public void Equal_thresholds_are_one_threshold() => Gen.Select(Gen.Single[0, 1], Gen.Single[0, 1], Gen.Bool).Sample((score, threshold, best) =>
    {
        var decided = DropPolicy.Decide(score, best, new DropThresholds(threshold, threshold), guard: false);
        Assert.Equal(score < threshold ? Computation.Drop : Computation.Full, decided);
    });

    // A run over experts that are NaN fills the scratch memory with it; the experts come back, the scratch memory stays.
    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    public unsafe void Scratch_memory_full_of_NaN_reaches_no_output(WeightFormat weights)
    {
        using var model = Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Weights = weights });
        var plan = model.Plan(new DropRequest { Thresholds = new DropThresholds(0.2f, 0.26f) });
        var text = model.NewText(plan);
        float[] expected = Run(model, text);
        Assert.True(text.Counts.Dropped > 0 && text.Counts.MajorOnly > 0);
        List<byte[]> saved = [];
        foreach (var panel in Panels(model))
        {
            var bytes = new Span<byte>((void*)panel.Pointer, panel.Bytes);
            saved.Add(bytes.ToArray());
            bytes.Fill(0xff);
        }

        Assert.Contains(float.NaN, Run(model, null));
        foreach (var (panel, bytes) in Panels(model).Zip(saved))
            bytes.CopyTo(new Span<byte>((void*)panel.Pointer, panel.Bytes));
        Assert.Equal(expected, Run(model, model.NewText(plan)));
    }

    private static unsafe List<(nint Pointer, int Bytes)> Panels(Transformer model)
    {
        List<(nint, int)> panels = [];
        foreach (var layer in model.Layers.Select(l => l.Moe!))
        {
            for (int e = 0; e < layer.Experts.Count; e++)
            {
                var matrix = layer.Experts.GateUp(e);
                for (int p = 0; p < matrix.PanelCount; p++)
                    panels.Add(((nint)matrix.Panel(p), (int)matrix.PanelBytes));
            }
        }

        return panels;
    }

    private static float[] Run(Transformer model, TextDrop? drop)
    {
        using var cache = model.NewCache(64);
        return model.Forward(cache, s_ids, LogitRows.All, drop).ToArray();
    }
}

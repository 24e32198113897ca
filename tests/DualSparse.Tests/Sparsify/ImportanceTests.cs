using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>The four importance sums on the shipped model, against an independent implementation's (tests/golden/README.md).</summary>
public class ImportanceTests(ITestOutputHelper output)
{
    [Fact]
    public void Sums_and_major_halves_are_the_references()
    {
        using var golden = SafetensorsFile.Open(TestPaths.Golden("eval", "importance.safetensors"));
        var ids = golden.Get("calibration_ids");
        int[][] windows = [.. ids.ReadInt64s().Select(id => (int)id).Chunk((int)ids.RowLength)];
        var options = new EngineOptions { Weights = WeightFormat.F32 };
        using var model = Transformer.Load(TestPaths.Model, options);
        using var stream = LayerStream.Open(TestPaths.Model, options);
        var moe = model.Config.Moe!;
        var calibration = Calibration.Run(stream, windows, cancel: TestContext.Current.CancellationToken);
        Assert.Equal((windows.Length, ids.Count), (calibration.Windows, calibration.Tokens));
        Assert.All(calibration.Importance, layer => Assert.Equal(ids.Count * moe.TopK, layer!.Tokens.Sum()));

        // Where two experts tie for a token, rounding decides: the reference may have sent it to the other one.
        var ties = new Lazy<List<RouterTie>>(() => RouterTie.Find(windows, within: 1e-5));
        for (int metric = 1; metric <= NeuronImportance.Metrics; metric++)
        {
            float[] expected = golden.Get($"importance_{metric}").ReadFloats();
            // Signed sums cancel: their error is measured against the sum of magnitudes.
            float[] scale = golden.Get($"importance_{(metric + 1) / 2 * 2}").ReadFloats();
            double worst = 0;
            int same = 0, i = 0;
            HashSet<(int Layer, int Expert)> gained = [];
            List<(int Layer, int Expert, double Error)> errors = [];
            for (int l = 0; l < model.Config.Layers; l++)
            {
                for (int e = 0; e < moe.Experts; e++, i += moe.Intermediate)
                {
                    double[] ours = calibration.Importance[l]!.Of(metric, e).ToArray();
                    double[] theirs = [.. expected.Skip(i).Take(ours.Length).Select(v => (double)v)];
                    double error = Error(ours, theirs, scale.AsSpan(i, ours.Length));
                    worst = Math.Max(worst, error);
                    foreach (var tie in error > 1e-4 ? ties.Value.Where(t => t.Layer == l && t.Chosen == e) : [])
                    {
                        double[] without = [.. ours.Zip(tie.Alone.Of(metric, e).ToArray(), (sum, token) => sum - token)];
                        double left = Error(without, theirs, scale.AsSpan(i, ours.Length));
                        if (left >= error)
                            continue;
                        output.WriteLine($"metric {metric}: layer {l}, a token goes to expert {e}, in the reference to {tie.Other}, by a gap of {tie.Gap:0.0e+0}; error {error:0.0e+0}, without it {left:0.0e+0}");
                        gained.Add((l, tie.Other));
                        error = left;
                    }

                    errors.Add((l, e, error));
                    var major = NeuronOrder.Descending(theirs).Take((ours.Length + 1) / 2).ToHashSet();
                    same += NeuronOrder.Descending(ours).Take((ours.Length + 1) / 2).Count(major.Contains);
                }
            }

            double share = (double)same / (expected.Length / 2);
            output.WriteLine($"metric {metric}: worst relative error {worst:0.0e+0}, of experts without such a token {errors.Where(x => !gained.Contains((x.Layer, x.Expert))).Max(x => x.Error):0.0e+0}, major halves {share:0.00000} the same");
            Assert.All(errors, x => Assert.InRange(x.Error, 0, gained.Contains((x.Layer, x.Expert)) ? 1e-2 : 1e-4));
            Assert.InRange(gained.Count, 0, 8);
            Assert.InRange(worst, 0, 1e-2);
            Assert.InRange(share, 0.995, 1);
        }

        // Thresholds for a rate give that rate on the text that they are from.
        var scores = ScoreHistogram.Sum(calibration.Scores.OfType<ScoreHistogram>());
        var text = model.NewText(new DropRequest { Thresholds = scores.Thresholds(0.25, 0.01f) });
        foreach (int[] window in windows.Take(32))
        {
            using var cache = model.NewCache(window.Length);
            model.Forward(cache, window, LogitRows.None, text);
        }

        // The dropped run's own hidden states shift the later layers' scores a little.
        Assert.InRange(text.Counts.Rate, 0.23, 0.27);
    }

    // The worst of an expert's neurons.
    private static double Error(double[] ours, double[] theirs, ReadOnlySpan<float> scale)
    {
        double worst = 0;
        for (int n = 0; n < ours.Length; n++)
            worst = Math.Max(worst, Math.Abs(ours[n] - theirs[n]) / scale[n]);
        return worst;
    }

    [Fact]
    public void Equal_importance_keeps_the_stored_order()
    {
        Assert.Equal([3, 1, 2, 0, 4], NeuronOrder.Descending([1, 5, 5, 7, 0.5]));
        Assert.Equal([0, 1, 2, 3], NeuronOrder.Descending([2, 2, 2, 2]));
    }
}

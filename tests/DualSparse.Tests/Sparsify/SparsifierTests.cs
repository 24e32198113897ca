using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>Sparsified checkpoints: the same function, the same types, the important neurons first, nothing half-written.</summary>
public class SparsifierTests
{
    public static TheoryData<string> Families => ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2", "scmoe/top2", "scmoe/shared_expert", "scmoe/dgmoe", "scmoe/pos1", "scmoe/pos2", "scmoe/pos2_cg1", "scmoe/pos2_cg2", "scmoe/pos3", "scmoe/scmoe2"];

    private static EngineOptions F32 => new() { Weights = WeightFormat.F32 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Families))]
    public void The_originals_logits_and_greedy_tokens_stay(string family)
    {
        using var folder = new TemporaryFolder();
        string source = TestPaths.Golden(family), output = folder.File("out");
        var report = Run(source, output);
        using var model = Transformer.Load(output, F32);
        var comparison = Verification.Compare(model, Path.Combine(source, "golden.safetensors"));
        Assert.InRange(comparison.RelativeError, 0, 1e-5);
        Assert.Equal(0, comparison.GreedyMismatches);
        Assert.Equal([output], Directory.GetFileSystemEntries(folder.Path));

        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, DropProfile.FileName)));
        Assert.Equal(4, json.RootElement.GetProperty("metric").GetInt32());
        Assert.Equal(15, json.RootElement.GetProperty("thresholds").GetArrayLength());
        Assert.Equal(model.Config.LayerPlan.Count(l => l.IsMoe), report.Layers.Count);
        foreach (string file in Directory.GetFiles(source, "*.json").Where(f => !f.EndsWith("index.json", StringComparison.Ordinal)))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(output, Path.GetFileName(file))));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Neurons_move_as_a_whole_and_nothing_else_changes(string family)
    {
        using var folder = new TemporaryFolder();
        string output = folder.File("out");
        Run(TestPaths.Golden(family), output);
        using Checkpoint before = Checkpoint.Open(TestPaths.Golden(family)), after = Checkpoint.Open(output);
        Assert.Equal(before.Names.Order(), after.Names.Order());
        HashSet<string> moved = [];
        int changed = 0;
        for (int l = 0; l < before.Config.Layers; l++)
        {
            for (int e = 0; before.Config.LayerPlan[l].IsMoe && e < before.Config.Moe!.Experts; e++)
            {
                var expert = before.Config.Tensors.Layer(l).Expert(e);
                string[] old = Neurons(before, expert), now = Neurons(after, expert);
                Assert.Equal(old.Order(), now.Order());
                changed += old.SequenceEqual(now) ? 0 : 1;
                moved.UnionWith([expert.Gate.Tensor.Name, expert.Up.Tensor.Name, expert.Down.Tensor.Name]);
            }
        }

        Assert.True(changed > 0);
        foreach (string name in before.Names)
        {
            Assert.True(before.TryGet(name, out var old) & after.TryGet(name, out var now));
            Assert.Equal((old!.Type, old.ByteLength), (now!.Type, now.ByteLength));
            Assert.True(moved.Contains(name) || old.Bytes.SequenceEqual(now.Bytes), name);
        }
    }

    [Fact]
    public void Experts_that_no_token_reached_are_ordered_by_their_weights()
    {
        using var folder = new TemporaryFolder();
        var report = Sparsifier.Run(TestPaths.Golden("olmoe"), folder.File("out"), new([[3]], []), "one token", engine: F32, cancel: Cancel);
        Assert.All(report.Layers, layer => Assert.Equal(layer.TokensPerExpert.Count, layer.WeightNormExperts.Count));
        using var checkpoint = Checkpoint.Open(folder.File("out"));
        double[] norms = WeightNorms.Of(checkpoint, checkpoint.Config.Tensors.Layer(0).Expert(0));
        Assert.Equal(norms.OrderDescending(), norms);
    }

    [Fact]
    public void A_weighted_metric_orders_by_the_sum_times_the_norm_of_the_down_weights()
    {
        using var folder = new TemporaryFolder();
        string source = TestPaths.Golden("olmoe");
        int[][] windows = [.. Enumerable.Range(0, 8).Select(w => Enumerable.Range(w * 5, 40).ToArray())];
        var report = Sparsifier.Run(source, folder.File("out"), new(windows, []), "test", ImportanceMetric.Parse("2w"), F32, cancel: Cancel);
        Assert.Equal((2, true), (report.Metric, report.TimesDownNorm));
        using var stream = LayerStream.Open(source, F32);
        var calibration = Calibration.Run(stream, windows, cancel: Cancel);
        using Checkpoint before = Checkpoint.Open(source), after = Checkpoint.Open(folder.File("out"));
        int e = Enumerable.Range(0, 16).First(x => calibration.Importance[0]!.Tokens[x] >= 32);
        var expert = before.Config.Tensors.Layer(0).Expert(e);
        double[] expected = [.. WeightNorms.Down(before, expert).Zip(calibration.Importance[0]!.Of(2, e).ToArray(), (norm, sum) => norm * sum)];
        string[] old = Neurons(before, expert);
        Assert.Equal(NeuronOrder.Descending(expected).Select(n => old[n]), Neurons(after, expert));
        Assert.Equal("2w", ImportanceMetric.Parse("2w").ToString());
        Assert.All(["", "w", "0", "5w", "4x", "-1", "4ww"], text => Assert.Throws<ArgumentException>(() => ImportanceMetric.Parse(text)));
    }

    [Fact]
    public void Nothing_stays_behind_when_it_fails()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ArgumentException>(() => Sparsifier.Run(TestPaths.Golden("olmoe"), folder.File("out"), new([[-1]], []), "no id", cancel: Cancel));
        Assert.Throws<ArgumentException>(() => Sparsifier.Run(TestPaths.Golden("olmoe"), folder.File("out"), new([], []), "nothing", cancel: Cancel));
        using var cancelled = new CancellationTokenSource();
        // Cancelled at the last window: the weights' writing begins and ends at its first tensor.
        var progress = new AtTheEnd(cancelled.Cancel);
        Assert.Throws<OperationCanceledException>(() => Sparsifier.Run(
            TestPaths.Golden("olmoe"), folder.File("out"), new([[1, 2, 3]], []), "ids", progress: progress, cancel: cancelled.Token));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        File.WriteAllText(folder.File("mine.txt"), "");
        Assert.Throws<IOException>(() => Sparsifier.Run(TestPaths.Golden("olmoe"), folder.Path, new([[1]], []), "ids", cancel: Cancel));
        Assert.Equal([folder.File("mine.txt")], Directory.GetFileSystemEntries(folder.Path));
    }

    private static SparsifyReport Run(string source, string output) => Sparsifier.Run(
        source, output, new([.. Enumerable.Range(0, 8).Select(w => Enumerable.Range(w * 5, 40).ToArray())], []), "test", engine: F32, cancel: Cancel);

    // Each neuron as one text: its rows of gate and up, its column of down.
    private static string[] Neurons(Checkpoint checkpoint, MlpTensors expert)
    {
        using WeightView gate = checkpoint.Get(expert.Gate), up = checkpoint.Get(expert.Up), output = checkpoint.Get(expert.Down);
        float[] down = output.ReadFloats();
        int neurons = gate.Rows;
        return [.. Enumerable.Range(0, neurons).Select(n =>
            Convert.ToHexString(gate.RowBytes(n)) + Convert.ToHexString(up.RowBytes(n)) +
            string.Join(',', Enumerable.Range(0, down.Length / neurons).Select(d => down[d * neurons + n])))];
    }

    private sealed class AtTheEnd(Action action) : IProgress<SparsifyProgress>
    {
        public void Report(SparsifyProgress value)
        {
            if (value is { Stage: "calibrating", Share: >= 1 })
                action();
        }
    }

    [Fact]
    public void A_link_that_leads_nowhere_is_left_behind()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("links need a privilege there");
        using TemporaryFolder source = TemporaryFolder.CopyOf("mixtral"), target = new();
        File.CreateSymbolicLink(source.File("notes.txt"), "nowhere");
        Run(source.Path, target.File("out"));
        Assert.False(Path.Exists(Path.Combine(target.File("out"), "notes.txt")));
        Assert.True(File.Exists(Path.Combine(target.File("out"), "config.json")));
    }

    // It may be where a disk is mounted, or lead to another disk.
    [Fact]
    public void An_empty_folder_that_is_given_is_filled_and_stays_the_one_it_was()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("links need a privilege there");
        using TemporaryFolder source = TemporaryFolder.CopyOf("mixtral"), target = new(), disk = new();
        File.CreateSymbolicLink(target.File("link"), disk.Path);
        Run(source.Path, target.File("link"));
        Assert.Equal(disk.Path, new FileInfo(target.File("link")).LinkTarget);
        Assert.True(File.Exists(disk.File("config.json")));
        Assert.Empty(Directory.GetDirectories(disk.Path));
        Assert.Contains("is not empty", Assert.Throws<IOException>(() => Run(source.Path, target.File("link"))).Message);
    }
}

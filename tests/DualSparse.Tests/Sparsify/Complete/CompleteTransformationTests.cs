using System.Text.Json;
using System.Text.RegularExpressions;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;
using DualSparse.Sparsify.Complete;

namespace DualSparse.Tests.Sparsify.Complete;

/// <summary>Completed checkpoints: the original's logits, an ordinary configuration, refused where they can't be exact.</summary>
public class CompleteTransformationTests
{
    // Every other field must stay.
    private static readonly string[] s_changing =
    [
        "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "intermediate_size", "moe_intermediate_size", "n_shared_experts",
    ];

    public static TheoryData<string, int> Cases
    {
        get
        {
            TheoryData<string, int> cases = [];
            foreach (string family in new[] { "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2" })
            {
                foreach (int parts in new[] { 1, 2, 4 })
                    cases.Add(family, parts);
            }

            cases.Add("scmoe/shared_expert", 1);
            cases.Add("scmoe/top2", 2);
            cases.Add("scmoe/top2", 4);
            // Stored as F32: any P that divides the neurons.
            cases.Add("mixtral", 3);
            cases.Add("deepseek_v2", 3);
            return cases;
        }
    }

    private static EngineOptions F32 => new() { Weights = WeightFormat.F32 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_originals_logits_and_greedy_tokens_stay(string family, int parts)
    {
        using var folder = new TemporaryFolder();
        string source = TestPaths.Golden(family), output = folder.File("out");
        var config = CompleteTransformation.Run(source, output, parts, cancel: Cancel);
        Verify(output, source);
        Assert.Equal([output], Directory.GetFileSystemEntries(folder.Path));

        var (old, now) = (ModelConfig.Load(source).Moe!, config.Moe!);
        Assert.Equal((old.Experts * parts, old.TopK * parts, old.Intermediate, old.SharedIntermediate), (now.Experts, now.TopK, now.Intermediate * parts, now.SharedIntermediate));
        foreach (string file in Directory.GetFiles(source).Select(f => Path.GetFileName(f)).Where(f => f != "config.json" && !f.Contains("safetensors", StringComparison.Ordinal)))
            Assert.Equal(File.ReadAllBytes(Path.Combine(source, file)), File.ReadAllBytes(Path.Combine(output, file)));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Only_the_experts_fields_change(string family, int parts)
    {
        using var folder = new TemporaryFolder();
        string source = TestPaths.Golden(family), output = folder.File("out");
        CompleteTransformation.Run(source, output, parts, cancel: Cancel);
        using JsonDocument before = Json(source), after = Json(output);
        Assert.Equal(before.RootElement.EnumerateObject().Select(f => f.Name), after.RootElement.EnumerateObject().Select(f => f.Name));
        foreach (var field in before.RootElement.EnumerateObject())
        {
            var now = after.RootElement.GetProperty(field.Name);
            if (parts == 1 || !s_changing.Contains(field.Name))
                Assert.Equal(Regex.Replace(field.Value.GetRawText(), @"\s+", ""), Regex.Replace(now.GetRawText(), @"\s+", ""));
        }
    }

    // Two of a token's experts would be renormalised, where one was not.
    [Fact]
    public void Experts_of_one_a_token_are_not_cut_where_several_are_renormalised()
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<ArgumentException>(() => CompleteTransformation.Run(TestPaths.Golden("scmoe/shared_expert"), folder.File("out"), 2, cancel: Cancel));
        Assert.Contains("experts can't be cut where a token takes one", error.Message);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void One_part_keeps_every_tensor()
    {
        using var folder = new TemporaryFolder();
        CompleteTransformation.Run(TestPaths.Golden("qwen3_moe"), folder.File("out"), 1, cancel: Cancel);
        using Checkpoint before = Checkpoint.Open(TestPaths.Golden("qwen3_moe")), after = Checkpoint.Open(folder.File("out"));
        Assert.Equal(before.Names.Order(), after.Names.Order());
        foreach (string name in before.Names)
        {
            Assert.True(before.TryGet(name, out var old) & after.TryGet(name, out var now));
            Assert.True(old!.Type == now!.Type && old.Bytes.SequenceEqual(now.Bytes), name);
        }
    }

    [Fact]
    public void The_model_that_ships_stays_itself_reordered_and_cut()
    {
        using var folder = new TemporaryFolder();
        int[][] windows = [[.. Enumerable.Range(1, 128)]];
        Sparsifier.Run(TestPaths.Model, folder.File("reordered"), new(windows, []), "ids", engine: F32, cancel: Cancel);
        CompleteTransformation.Run(folder.File("reordered"), folder.File("out"), 4, cancel: Cancel);
        Verify(folder.File("out"), TestPaths.Model);
        Assert.True(File.Exists(Path.Combine(folder.File("out"), "tokenizer.json")));
        // It speaks of the neurons of experts that are no more.
        Assert.False(File.Exists(Path.Combine(folder.File("out"), DropProfile.FileName)));
    }

    // No release with groups is small enough to stand among the golden checkpoints: the engine itself is the judge.
    [Fact]
    public void Groups_by_their_best_expert_stay_what_they_are()
    {
        using var folder = TemporaryFolder.CopyOf("deepseek_v2");
        string config = File.ReadAllText(folder.File("config.json"));
        config = config.Replace("\"greedy\"", "\"group_limited_greedy\"", StringComparison.Ordinal)
            .Replace("\"n_group\": 1", "\"n_group\": 4", StringComparison.Ordinal).Replace("\"topk_group\": 1", "\"topk_group\": 2", StringComparison.Ordinal);
        File.WriteAllText(folder.File("config.json"), config);
        var completed = CompleteTransformation.Run(folder.Path, folder.File("out"), 2, cancel: Cancel);
        Assert.Equal((4, 2), (completed.Moe!.Groups, completed.Moe.TopKGroups));
        using Transformer before = Transformer.Load(folder.Path, F32), after = Transformer.Load(folder.File("out"), F32);
        var report = WindowEvaluation.Compare(before, after, TextWindows.Cut("numbers", [.. Enumerable.Range(3, 61)], 60, 1), Cancel);
        // What single precision leaves of a divergence of nothing.
        Assert.InRange(report.KullbackLeibler!.Value, 0, 1e-7);
        Assert.Equal(0, report.Flips!.Value);
    }

    [Fact]
    public void Defaults_that_the_configuration_leaves_out_are_written()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        string config = File.ReadAllText(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), config.Replace("\"num_experts_per_tok\": 2,", "", StringComparison.Ordinal));
        Assert.Equal(4, CompleteTransformation.Run(folder.Path, folder.File("out"), 2, cancel: Cancel).Moe!.TopK);
        Verify(folder.File("out"), TestPaths.Golden("mixtral"));
    }

    [Fact]
    public void Rounding_needs_leave()
    {
        using var folder = new TemporaryFolder();
        foreach (string family in new[] { "olmoe", "qwen3_moe" })
        {
            string source = TestPaths.Golden(family);
            var refusal = Assert.Throws<ArgumentException>("allowRounding", () => CompleteTransformation.Run(source, folder.File("out"), 3, cancel: Cancel));
            Assert.Contains("down_proj", refusal.Message, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
            CompleteTransformation.Run(source, folder.File(family), 3, allowRounding: true, cancel: Cancel);
            using (var model = Transformer.Load(folder.File(family), F32))
                Assert.InRange(Verification.Compare(model, Path.Combine(source, "golden.safetensors")).RelativeError, 1e-5, 1e-2);
            Directory.Delete(folder.File(family), recursive: true);
        }
    }

    [Fact]
    public void What_does_not_fit_is_refused_and_nothing_stays_behind()
    {
        using var folder = new TemporaryFolder();
        string output = folder.File("out");
        Assert.Contains("48 neurons", Refusal(TestPaths.Golden("olmoe"), 5), StringComparison.Ordinal);
        Assert.Contains("at least 1", Refusal(TestPaths.Golden("olmoe"), 0), StringComparison.Ordinal);
        using (var full = TemporaryFolder.CopyOf("olmoe"))
            Assert.Contains("not empty", Assert.Throws<IOException>(() => CompleteTransformation.Run(TestPaths.Golden("olmoe"), full.Path, 2, cancel: Cancel)).Message);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => CompleteTransformation.Run(TestPaths.Golden("olmoe"), output, 2, cancel: cancelled.Token));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));

        using var large = Rewritten("qwen3_moe", (tensor, values) =>
        {
            if (tensor.EndsWith("layers.2.mlp.experts.7.down_proj.weight", StringComparison.Ordinal))
                values[5] = -40000;
        });
        string message = Assert.Throws<ModelFormatException>(() => CompleteTransformation.Run(large.Path, output, 2, cancel: Cancel)).Message;
        Assert.Contains("layers.2.mlp.experts.7.down_proj.weight", message, StringComparison.Ordinal);
        Assert.Contains("F16", message, StringComparison.Ordinal);

        using var unknown = Rewritten("olmoe", extra: "model.layers.0.mlp.experts.0.gate_proj.bias");
        message = Assert.Throws<ModelFormatException>(() => CompleteTransformation.Run(unknown.Path, output, 2, cancel: Cancel)).Message;
        Assert.Contains("gate_proj.bias", message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));

        string Refusal(string model, int parts) => Assert.Throws<ArgumentException>(() => CompleteTransformation.Run(model, output, parts, cancel: Cancel)).Message;
    }

    // A golden folder whose tensors were changed, or joined by another.
    private static TemporaryFolder Rewritten(string family, Action<string, float[]>? change = null, string? extra = null)
    {
        var folder = new TemporaryFolder();
        using var source = Checkpoint.Open(TestPaths.Golden(family));
        TensorView[] tensors = [.. source.Names.Select(name => source.Get(name))];
        List<TensorDeclaration> declarations = [.. tensors.Select(t => new TensorDeclaration(t.Name, t.Type, [.. t.Shape]))];
        if (extra is not null)
            declarations.Add(new TensorDeclaration(extra, TensorType.F32, 1));
        using var writer = new CheckpointWriter(folder.Path, declarations);
        foreach (var tensor in tensors)
        {
            float[] values = tensor.ReadFloats();
            change?.Invoke(tensor.Name, values);
            writer.Append(tensor.Name, values);
        }

        if (extra is not null)
            writer.Append(extra, [1f]);
        writer.Commit();
        File.Copy(TestPaths.Golden(family, "config.json"), folder.File("config.json"));
        return folder;
    }

    private static JsonDocument Json(string folder) => JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "config.json")));

    private static void Verify(string folder, string original)
    {
        using var model = Transformer.Load(folder, F32);
        var report = Verification.Compare(model, Path.Combine(original, "golden.safetensors"));
        Assert.InRange(report.RelativeError, 0, 1e-5);
        Assert.Equal(original.Contains("scmoe", StringComparison.Ordinal), report.GreedyTokens == 0);
        Assert.Equal(0, report.GreedyMismatches);
    }
}

using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;
using DualSparse.Sparsify.Complete;

namespace DualSparse.Tests.Models.Weights;

/// <summary>Checkpoints under the names that other programs give: read where a name says the same, and else told what was found.</summary>
public partial class StoredNamesTests
{
    // What stands before "layers.0…", and before "lm_head.weight".
    private static readonly (string Root, string Head)[] s_prefixes =
    [
        ("model.language_model.", ""), ("language_model.model.", "language_model."), ("module.model.", "module."), ("base_model.model.model.", "base_model.model."), ("", ""), ("_orig_mod.model.", "_orig_mod."),
    ];

    public static TheoryData<string, int> Prefixed => new MatrixTheoryData<string, int>(["mixtral", "qwen2_moe", "deepseek_v2"], [.. Enumerable.Range(0, s_prefixes.Length)]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Prefixed))]
    public void What_stands_before_the_names_is_found(string family, int prefix)
    {
        using var folder = Renamed(family, name => Prefix(name, s_prefixes[prefix]));
        Same(family, folder.Path);
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("olmoe")]
    [InlineData("qwen2_moe")]
    [InlineData("qwen3_moe")]
    [InlineData("deepseek_v2")]
    public void All_experts_of_a_matrix_in_one_tensor_are_read(string family)
    {
        using var folder = Stacked(family);
        using (var checkpoint = Checkpoint.Open(folder.Path))
        {
            Assert.Equal(ExpertStorage.Stacked, checkpoint.Config.Names.Experts);
            Assert.Contains(checkpoint.Names, name => name.EndsWith(".switch_mlp.down_proj.weight", StringComparison.Ordinal));
            Assert.Equal(checkpoint.Names.Order(), checkpoint.Config.Tensors.All().Select(t => t.Name).Order());
        }

        Same(family, folder.Path);
    }

    [Theory]
    [InlineData("mixtral", "block_sparse_moe", "mlp")]
    [InlineData("mixtral", "w1=gate_proj", "w3=up_proj", "w2=down_proj")]
    [InlineData("mixtral", "block_sparse_moe", "feed_forward", "w1=gate_proj", "w3=up_proj", "w2=down_proj")]
    [InlineData("olmoe", "mlp", "block_sparse_moe", "gate_proj=w1", "up_proj=w3", "down_proj=w2")]
    [InlineData("olmoe", "mlp.experts", "moe.switch_mlp")]
    public void Blocks_and_projections_may_have_another_familys_names(string family, params string[] changes)
    {
        using var folder = Renamed(family, name =>
        {
            if (changes[0].Contains('=') is false)
                name = name.Replace($".{changes[0].Split('.')[0]}.gate.", $".{changes[1].Split('.')[0]}.gate.", StringComparison.Ordinal);
            if (!name.Contains(".experts.", StringComparison.Ordinal))
                return name;
            if (changes[0].Contains('=') is false)
                name = name.Replace(changes[0] + ".", changes[1] + ".", StringComparison.Ordinal);
            foreach (string[] change in changes.Where(c => c.Contains('=', StringComparison.Ordinal)).Select(c => c.Split('=')))
                name = name.Replace(change[0], change[1], StringComparison.Ordinal);
            return name;
        });
        Same(family, folder.Path);
    }

    [Fact]
    public void Fused_experts_behind_a_prefix_are_read()
    {
        using var folder = FusedFolder.Write(
            TestPaths.Golden("qwen3_moe"), transposed: true, tensors => tensors.Select(t => t with { Name = Prefix(t.Name, ("model.language_model.", "")) }));
        Same("qwen3_moe", folder.Path);
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("qwen2_moe")]
    public void Sparsify_keeps_the_names_and_complete_writes_experts_of_their_own(string family)
    {
        using TemporaryFolder plain = Stacked(family), output = new();
        using var folder = Rewritten(plain.Path, tensors => tensors.Select(t => t with { Name = Prefix(t.Name, ("language_model.model.", "language_model.")) }));
        CompleteTransformation.Run(folder.Path, output.File("complete"), 2, cancel: Cancel);
        Agrees(family, output.File("complete"));
        int[][] windows = [[.. Enumerable.Range(1, 64)]];
        Sparsifier.Run(folder.Path, output.File("reordered"), new(windows, []), "ids", engine: new() { Weights = WeightFormat.F32 }, cancel: Cancel);
        Agrees(family, output.File("reordered"));
        using Checkpoint before = Checkpoint.Open(folder.Path), after = Checkpoint.Open(output.File("reordered"));
        Assert.Equal(before.Names.Order(), after.Names.Order());
        Assert.NotEqual(before.Get(Down(before)).Bytes.ToArray(), after.Get(Down(after)).Bytes.ToArray());

        static string Down(Checkpoint checkpoint) => checkpoint.Names.First(name => name.EndsWith("switch_mlp.down_proj.weight", StringComparison.Ordinal));
    }

    [Fact]
    public void A_tied_head_may_be_missing_and_another_is_named()
    {
        using var folder = Renamed("olmoe", name => name == "lm_head.weight" ? null : name);
        Assert.EndsWith("tensor 'lm_head.weight' is missing, and config.json doesn't say 'tie_word_embeddings': true; set it if the head is the embedding", Refusal(folder));
        var config = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        config["tie_word_embeddings"] = true;
        File.WriteAllText(folder.File("config.json"), config.ToJsonString());
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal("model.embed_tokens.weight", checkpoint.Config.Tensors.Head.Name);
        Assert.Empty(checkpoint.Notes);
    }

    [Theory]
    [InlineData("mlp.gate.weight", "mlp.router.weight", "tensor 'model.layers.0.mlp.gate.weight' is missing; the nearest that isn't read is 'model.layers.0.mlp.router.weight'")]
    [InlineData("mlp.experts.", "mlp.specialists.", "tensor 'model.layers.0.mlp.experts.0.gate_proj.weight' is missing; the nearest that isn't read is 'model.layers.0.mlp.specialists.0.gate_proj.weight'")]
    [InlineData("embed_tokens", "wte", "tensor 'model.embed_tokens.weight' is missing")]
    public void A_name_that_says_something_else_is_told_beside_the_one_expected(string from, string to, string expected)
    {
        using var folder = Renamed("olmoe", name => name.Replace(from, to, StringComparison.Ordinal));
        Assert.Contains(expected, Refusal(folder));
    }

    [Fact]
    public void What_nobody_reads_is_passed_over_noted_or_refused()
    {
        Assert.Empty(Notes("model.layers.0.self_attn.rotary_emb.inv_freq", "model.layers.1.mlp._extra_state", "model.layers.3.mlp.experts.0.gate_proj.weight"));
        Assert.EndsWith("tensors that aren't read: 2, such as 'score.weight'", Assert.Single(Notes("score.weight", "visual.patch_embed.weight")));
        using var adapted = Added("model.layers.0.self_attn.q_proj.lora_A.default.weight");
        Assert.Contains("is an adapter's (LoRA): merge the adapter into the weights first", Refusal(adapted));
        foreach (string part in new[] { "model.layers.0.self_attn.q_proj.weight_scale_inv", "model.layers.0.mlp.switch_mlp.gate_proj.scales", "lm_head.qzeros" })
        {
            using var quantised = Added(part);
            Assert.Contains($"tensor '{part}' is a quantised checkpoint's, which isn't supported: take the model's own weights", Refusal(quantised));
        }

        using var renamed = Renamed("olmoe", name => name.Replace("q_proj.weight", "q_proj.qweight", StringComparison.Ordinal));
        Assert.Contains("is missing; there is 'model.layers.0.self_attn.q_proj.qweight', a quantised checkpoint's", Refusal(renamed));
        using var two = Added("model.layers.1.mlp.switch_mlp.up_proj.weight");
        Assert.Contains("expected one form or the other", Refusal(two));

        static IReadOnlyList<string> Notes(params string[] names)
        {
            using var folder = Added(names);
            using var checkpoint = Checkpoint.Open(folder.Path);
            return checkpoint.Notes;
        }

        static TemporaryFolder Added(params string[] names) =>
            Rewritten(TestPaths.Golden("olmoe"), tensors => tensors.Concat(names.Select(name => new StoredTensor(name, TensorType.F32, [2], new byte[8]))));
    }

    private static string Prefix(string name, (string Root, string Head) prefix) =>
        name == "lm_head.weight" ? prefix.Head + name : prefix.Root + name["model.".Length..];

    private static string Refusal(TemporaryFolder folder) => Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;

    private static void Agrees(string family, string folder)
    {
        using var model = Transformer.Load(folder, new EngineOptions { Weights = WeightFormat.F32 });
        var report = Verification.Compare(model, TestPaths.Golden(family, "golden.safetensors"));
        Assert.InRange(report.RelativeError, 0, 1e-4);
        Assert.Equal(0, report.GreedyMismatches);
    }

    // Every weight is the same, whatever it is called.
    private static void Same(string family, string folder)
    {
        using Checkpoint expected = Checkpoint.Open(TestPaths.Golden(family)), found = Checkpoint.Open(folder);
        Assert.Empty(found.Notes);
        var pairs = Matrices(expected.Config).Zip(Matrices(found.Config)).ToArray();
        Assert.NotEmpty(pairs);
        foreach (var (a, b) in pairs)
        {
            using WeightView one = expected.Get(a), other = found.Get(b);
            Assert.True(one.ReadFloats().AsSpan().SequenceEqual(other.ReadFloats()), $"{a.Tensor.Name} and {b.Tensor.Name}");
        }
    }

    private static IEnumerable<WeightSlice> Matrices(ModelConfig config)
    {
        foreach (var tensor in new[] { config.Tensors.Embedding, config.Tensors.Head })
            yield return WeightSlice.Of(tensor);
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            foreach (var tensor in layer.Attention.All().Where(t => t.Shape.Length == 2))
                yield return WeightSlice.Of(tensor);
            if (layer.Router is { } router)
                yield return WeightSlice.Of(router);
            var experts = Enumerable.Range(0, layer.Router is null ? 0 : config.Moe!.Experts).Select(layer.Expert);
            foreach (var mlp in new[] { layer.Mlp, layer.SharedExpert }.OfType<MlpTensors>().Concat(experts))
            {
                yield return mlp.Gate;
                yield return mlp.Up;
                yield return mlp.Down;
            }
        }
    }

    // A name that becomes null is left out.
    private static TemporaryFolder Renamed(string family, Func<string, string?> rename) =>
        Rewritten(TestPaths.Golden(family), tensors => tensors.Where(t => rename(t.Name) is not null).Select(t => t with { Name = rename(t.Name)! }));

    // As mlx writes it, under its names whatever the family.
    private static TemporaryFolder Stacked(string family) => Rewritten(TestPaths.Golden(family), tensors =>
    {
        List<StoredTensor> all = [.. tensors];
        var experts = all.Where(t => ExpertName().IsMatch(t.Name)).GroupBy(t =>
        {
            var match = ExpertName().Match(t.Name);
            string projection = match.Groups[3].Value switch { "w1" => "gate_proj", "w3" => "up_proj", "w2" => "down_proj", var other => other };
            return $"{match.Groups[1].Value}switch_mlp.{projection}.weight";
        }).ToArray();
        var stacked = experts.Select(group =>
        {
            StoredTensor[] parts = [.. group.OrderBy(t => int.Parse(ExpertName().Match(t.Name).Groups[2].Value))];
            return new StoredTensor(group.Key, parts[0].Type, [parts.Length, .. parts[0].Shape], [.. parts.SelectMany(p => p.Bytes)]);
        });
        return all.Where(t => !ExpertName().IsMatch(t.Name)).Concat(stacked);
    });

    private static TemporaryFolder Rewritten(string source, Func<IEnumerable<StoredTensor>, IEnumerable<StoredTensor>> change)
    {
        var folder = new TemporaryFolder();
        using var checkpoint = Checkpoint.Open(source);
        StoredTensor[] stored = [.. change(checkpoint.Names.Select(name => checkpoint.Get(name)).Select(t => new StoredTensor(t.Name, t.Type, [.. t.Shape], t.Bytes.ToArray())))];
        using (var writer = new CheckpointWriter(folder.Path, [.. stored.Select(t => new TensorDeclaration(t.Name, t.Type, t.Shape))]))
        {
            foreach (var tensor in stored)
                writer.AppendBytes(tensor.Name, tensor.Bytes);
            writer.Commit();
        }

        File.Copy(Path.Combine(source, "config.json"), folder.File("config.json"));
        return folder;
    }

    [GeneratedRegex(@"^(.*\.)experts\.(\d+)\.(\w+)\.weight$")]
    private static partial Regex ExpertName();
}

using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Tests.Engine.Reference;

namespace DualSparse.Tests.Models.Weights;

/// <summary>Which form a checkpoint's experts have, and what is neither.</summary>
public class FusedExpertsTests
{
    private const string GateUp = "model.layers.0.mlp.experts.gate_up_proj";
    private const string Down = "model.layers.0.mlp.experts.down_proj";

    public static TheoryData<string, bool> Cases => new MatrixTheoryData<string, bool>(["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2"], [false, true]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Exactly_the_tensors_that_are_there_are_asked_for_and_hold_the_same(string family, bool transposed)
    {
        using var folder = FusedFolder.Write(TestPaths.Golden(family), transposed);
        using Checkpoint separate = Checkpoint.Open(TestPaths.Golden(family)), fused = Checkpoint.Open(folder.Path);
        Assert.Equal(ExpertStorage.Separate, separate.Config.Names.Experts);
        Assert.Equal(transposed ? ExpertStorage.FusedTransposed : ExpertStorage.Fused, fused.Config.Names.Experts);
        Assert.Equal(fused.Names.Order(), fused.Config.Tensors.All().Select(t => t.Name).Order());
        Assert.Equal(separate.Config.Tensors.All().Sum(t => t.Count), fused.Config.Tensors.All().Sum(t => t.Count));
        for (int l = 0; l < fused.Config.Layers; l++)
        {
            for (int e = 0; fused.Config.LayerPlan[l].IsMoe && e < fused.Config.Moe!.Experts; e++)
            {
                MlpTensors one = separate.Config.Tensors.Layer(l).Expert(e), other = fused.Config.Tensors.Layer(l).Expert(e);
                foreach (var (a, b) in new[] { (one.Gate, other.Gate), (one.Up, other.Up), (one.Down, other.Down) })
                {
                    using WeightView expected = separate.Get(a), found = fused.Get(b);
                    Assert.Equal(expected.Type, found.Type);
                    Assert.Equal(expected.ReadFloats(), found.ReadFloats());
                }
            }
        }
    }

    // One of the two tensors has the same shape either way: the other decides.
    [Theory]
    [InlineData(32, 16, false)]
    [InlineData(32, 16, true)]
    [InlineData(32, 32, false)]
    [InlineData(32, 32, true)]
    public void A_square_is_turned_as_the_other_tensor_is(int hidden, int neurons, bool transposed)
    {
        using var separate = Square(hidden, neurons);
        using var folder = FusedFolder.Write(separate.Path, transposed);
        using Checkpoint before = Checkpoint.Open(separate.Path), after = Checkpoint.Open(folder.Path);
        Assert.True(after.Get(hidden == neurons ? Down : GateUp).Shape is [_, 32, 32]);
        MlpTensors one = before.Config.Tensors.Layer(0).Expert(2), other = after.Config.Tensors.Layer(0).Expert(2);
        foreach (var (a, b) in new[] { (one.Gate, other.Gate), (one.Up, other.Up), (one.Down, other.Down) })
        {
            using WeightView expected = before.Get(a), found = after.Get(b);
            Assert.Equal(expected.ReadFloats(), found.ReadFloats());
        }
    }

    [Fact]
    public void A_square_with_nothing_to_decide_it_is_refused()
    {
        using var separate = Square(32, 16);
        Refused(separate.Path, false, tensors => tensors.Where(t => t.Name != Down), $"tensor '{Down}' is missing");
        Refused(separate.Path, false, tensors => Reshaped(tensors, Down, [4, 8, 64]), $"tensor '{Down}' has shape [4, 8, 64], expected [4, 32, 16] or, transposed, [4, 16, 32]");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_missing_one_of_the_two_is_named(bool transposed)
    {
        foreach (string name in new[] { GateUp, Down, GateUp.Replace("layers.0", "layers.2", StringComparison.Ordinal), Down.Replace("layers.0", "layers.1", StringComparison.Ordinal) })
            Refused(TestPaths.Golden("olmoe"), transposed, tensors => tensors.Where(t => t.Name != name), $"tensor '{name}' is missing");
    }

    [Fact]
    public void Another_shape_is_named_with_those_expected()
    {
        string olmoe = TestPaths.Golden("olmoe");
        Refused(olmoe, false, tensors => Reshaped(tensors, GateUp, [16, 48, 128]), $"tensor '{GateUp}' has shape [16, 48, 128], expected [16, 96, 64] or, transposed, [16, 64, 96]");
        Refused(olmoe, false, tensors => Reshaped(tensors, GateUp, [16 * 96, 64]), "expected [16, 96, 64] or, transposed, [16, 64, 96]");
        // Each lies one way.
        Refused(olmoe, false, tensors => Reshaped(tensors, Down, [16, 48, 64]), $"tensor '{Down}' has shape [16, 48, 64], expected [16, 64, 48]");
        Refused(olmoe, true, tensors => Reshaped(tensors, GateUp, [16, 96, 64]), $"tensor '{Down}' has shape [16, 48, 64], expected [16, 64, 48]");
        string second = GateUp.Replace("layers.0", "layers.1", StringComparison.Ordinal);
        Refused(olmoe, true, tensors => Reshaped(tensors, second, [16, 96, 64]), $"tensor '{second}' has shape [16, 96, 64], expected [16, 64, 96]");
    }

    [Theory]
    [InlineData("olmoe", "model.layers.2.mlp.experts.3.up_proj.weight")]
    [InlineData("mixtral", "model.layers.1.block_sparse_moe.experts.3.w2.weight")]
    public void Both_forms_at_once_are_refused(string family, string name) => Refused(
        TestPaths.Golden(family), true, tensors => tensors.Append(new(name, TensorType.F32, [1], new byte[4])), $"and yet there is '{name}': expected one form or the other");

    [Fact]
    public void Types_and_tensors_too_many_are_refused_as_ever()
    {
        Refused(
            TestPaths.Golden("olmoe"), false, tensors => tensors.Select(t => t.Name == Down ? t with { Type = TensorType.I16 } : t),
            $"tensor '{Down}' is stored as I16, expected F32, BF16 or F16");
        Refused(
            TestPaths.Golden("olmoe"), false, tensors => tensors.Append(new(GateUp + "_bias", TensorType.F32, [16, 96], new byte[16 * 96 * 4])),
            $"tensor '{GateUp}_bias' is none that config.json asks for");
    }

    // Mixtral's block under its first name; transformers 5 has it under the other.
    [Fact]
    public void Either_name_of_a_block_is_read()
    {
        using var folder = FusedFolder.Write(
            TestPaths.Golden("mixtral"), false, tensors => tensors.Select(t => t with { Name = t.Name.Replace(".mlp.", ".block_sparse_moe.", StringComparison.Ordinal) }));
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal(checkpoint.Names.Order(), checkpoint.Config.Tensors.All().Select(t => t.Name).Order());
    }

    private static TemporaryFolder Square(int hidden, int neurons) => RandomModel.Write(
        $$"""{"model_type":"olmoe","hidden_size":{{hidden}},"intermediate_size":{{neurons}},"num_attention_heads":2,"num_key_value_heads":2,"num_experts":4,"num_experts_per_tok":2,"num_hidden_layers":1,"vocab_size":40}""");

    private static IEnumerable<StoredTensor> Reshaped(IEnumerable<StoredTensor> tensors, string name, long[] shape) =>
        tensors.Select(t => t.Name == name ? t with { Shape = shape } : t);

    private static void Refused(string model, bool transposed, Func<List<StoredTensor>, IEnumerable<StoredTensor>> damage, string expected)
    {
        using var folder = FusedFolder.Write(model, transposed, damage);
        string message = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.StartsWith(folder.Path, message);
    }
}

using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Checking;

namespace DualSparse.Tests.Training;

/// <summary>Training beside what other implementations computed, and what is said of a file that differs, lacks something, or isn't the model's.</summary>
public class OracleCheckTests
{
    public static TheoryData<string> Oracles => ["scmoe/top2", "scmoe/shared_expert", "scmoe/dgmoe", "scmoe/pos1", "scmoe/pos2", "scmoe/pos2_cg1", "scmoe/pos2_cg2", "scmoe/pos3", "scmoe/scmoe2", "train/mixtral", "train/olmoe", "train/qwen2_moe"];

    [Theory]
    [MemberData(nameof(Oracles))]
    public void Logits_losses_gradients_and_steps_agree(string folder)
    {
        var report = Run(TestPaths.Golden(folder), TestPaths.Golden(folder, "golden.safetensors"));
        Assert.All(report.Compared, tensor => Assert.True(tensor.Agrees, $"{tensor.Name}: {tensor.Difference}, accepted {tensor.Accepted}"));
        Assert.Empty(report.Unmatched);
        Assert.True(report.Agrees);
        using var checkpoint = Checkpoint.Open(TestPaths.Golden(folder));
        bool steps = folder.StartsWith("scmoe", StringComparison.Ordinal);
        string[] kinds = [.. report.Compared.Select(tensor => tensor.Kind.ToString()).Distinct().Order(StringComparer.Ordinal)];
        Assert.Equal(steps ? ["Gradient", "Logits", "Loss", "Step", "StepLoss"] : ["Gradient", "Logits", "Loss"], kinds);
        Assert.Equal(steps ? 3 : 2, report.Compared.Count(tensor => tensor.Kind == OracleKind.Loss));
        Assert.Equal(steps ? 10 : 0, report.Compared.Count(tensor => tensor.Kind == OracleKind.StepLoss));
        // Of these every tensor is there, whatever it is called; steps leave out experts, and transformers has no cross-entropy by itself.
        Assert.DoesNotContain(report.Missing, what => what.StartsWith("gradients", StringComparison.Ordinal));
        Assert.Equal(steps ? 1 : 3, report.Missing.Count);
        Assert.Equal(report.Compared, report.Compared.OrderByDescending(tensor => tensor.Share));
    }

    // A fault that small in any tensor must be found, and a smaller one must not.
    [Theory]
    [InlineData("logits", 3e-4f)]
    [InlineData("cross_entropy", 3e-4f)]
    [InlineData("aux", 3e-4f)]
    [InlineData("loss", 3e-4f)]
    [InlineData("grad.model.norm.weight", 3e-4f)]
    [InlineData("grad.model.layers.3.mlp.gate.weight", 3e-4f)]
    [InlineData("grad.model.layers.1.mlp.experts.2.down_proj.weight", 3e-4f)]
    [InlineData("adamw_losses", 3e-4f)]
    [InlineData("adamw.model.layers.0.self_attn.k_proj.weight", 3e-4f)]
    [InlineData("grad.model.norm.weight", 2e-5f)]
    public void A_tensor_scaled_a_little_differs_and_no_other(string name, float by)
    {
        using var folder = new TemporaryFolder();
        string changed = Rewrite(folder, (tensor, values) =>
        {
            for (int i = 0; tensor == name && i < values.Length; i++)
                values[i] *= 1 + by;
            return tensor;
        });
        var report = Run(Scmoe, changed);
        string[] differ = [.. report.Compared.Where(tensor => !tensor.Agrees).Select(tensor => tensor.Name.Split('[')[0]).Distinct()];
        Assert.Equal(by > 1e-4 ? [name] : [], differ);
        Assert.Equal(by < 1e-4, report.Agrees);
    }

    [Fact]
    public void What_a_file_lacks_is_named_and_what_the_model_lacks_differs()
    {
        using var folder = new TemporaryFolder();
        string changed = Rewrite(folder, (tensor, values) => tensor switch
        {
            "loss" or "adamw_losses" => null,
            "grad.model.layers.0.input_layernorm.weight" => "grad.model.layers.9.input_layernorm.weight",
            _ when tensor.StartsWith("adamw.", StringComparison.Ordinal) => null,
            _ => tensor,
        });
        var report = Run(Scmoe, changed);
        Assert.Equal(["'grad.model.layers.9.input_layernorm.weight': the model has no tensor of this name"], report.Unmatched);
        Assert.False(report.Agrees);
        Assert.All(report.Compared, tensor => Assert.True(tensor.Agrees));
        Assert.Equal(4, report.Missing.Count);
        Assert.Equal(["loss", "adamw_losses", "tensors after steps of AdamW"], report.Missing.Where(what => !what.StartsWith("gradients", StringComparison.Ordinal)));
        Assert.Contains(report.Missing, what => what.EndsWith("such as 'model.layers.0.input_layernorm.weight'", StringComparison.Ordinal));
    }

    [Fact]
    public void A_NaN_never_agrees()
    {
        using var folder = new TemporaryFolder();
        var report = Run(Scmoe, Rewrite(folder, (tensor, values) =>
        {
            if (tensor == "grad.model.norm.weight")
                values[3] = float.NaN;
            return tensor;
        }));
        Assert.Equal((false, "grad.model.norm.weight"), (report.Agrees, report.Compared[0].Name));
    }

    [Theory]
    [InlineData("neither 'ids' [windows, n + 1] nor 'input_ids'")]
    [InlineData("it has both 'ids' [windows, n + 1] and 'input_ids'", "ids", "input_ids")]
    [InlineData("it holds nothing to compare training with", "ids")]
    [InlineData("ids holds 999, expected ids below 160", "ids", "beyond")]
    public void A_file_of_nothing_is_refused(string expected, params string[] tensors)
    {
        using var folder = new TemporaryFolder();
        string[] names = [.. tensors.Where(name => name != "beyond")];
        using (var writer = new SafetensorsWriter(folder.File("oracle.safetensors"), [.. names.Select(name => new TensorDeclaration(name, TensorType.I32, 1, 3))]))
        {
            foreach (string name in names)
                writer.AppendBytes(name, [1, 0, 0, 0, .. tensors.Contains("beyond") ? new byte[] { 231, 3, 0, 0 } : [2, 0, 0, 0], 3, 0, 0, 0]);
            writer.Commit();
        }

        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => Run(Scmoe, folder.File("oracle.safetensors"))).Message);
    }

    private static string Scmoe => TestPaths.Golden("scmoe", "top2");

    private static OracleReport Run(string model, string oracle)
    {
        using var team = new ThreadTeam(2);
        return OracleCheck.Run(model, oracle, team);
    }

    // The oracle of scmoe with values changed, a tensor renamed or, by null, left out.
    private static string Rewrite(TemporaryFolder folder, Func<string, float[], string?> change)
    {
        using var file = SafetensorsFile.Open(TestPaths.Golden("scmoe", "top2", "golden.safetensors"));
        List<(TensorDeclaration Tensor, float[] Values)> kept = [];
        foreach (var (name, tensor) in file.Tensors)
        {
            if (name == "ids")
                continue;
            float[] values = tensor.ReadFloats();
            if (change(name, values) is { } now)
                kept.Add((new TensorDeclaration(now, TensorType.F32, [.. tensor.Shape]), values));
        }

        var ids = file.Get("ids");
        string path = folder.File("changed.safetensors");
        using var writer = new SafetensorsWriter(path, [new TensorDeclaration("ids", TensorType.I64, [.. ids.Shape]), .. kept.Select(k => k.Tensor)]);
        writer.AppendBytes("ids", ids.Bytes);
        foreach (var (tensor, values) in kept)
            writer.Append(tensor.Name, values);
        writer.Commit();
        return path;
    }
}

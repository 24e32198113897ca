using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Safetensors;

public class CheckpointDamageTests
{
    [Theory]
    [InlineData("model-00002-of-00004.safetensors", "../secret.safetensors", "is in '../secret.safetensors', expected the plain name of a file beside the index")]
    [InlineData("model-00002-of-00004.safetensors", "/etc/passwd", "is in '/etc/passwd', expected the plain name")]
    [InlineData("model-00002-of-00004.safetensors", "..", "is in '..', expected the plain name")]
    [InlineData("model-00002-of-00004.safetensors", "C:x", "is in 'C:x', expected the plain name")]
    [InlineData("model-00002-of-00004.safetensors", "other.safetensors", "it names the file 'other.safetensors', which is missing, of 4: the download isn't complete; run it again")]
    [InlineData("\"model.layers.0.self_attn.q_proj.weight\"", "\"model.layers.9.weight\"", "it says that tensor 'model.layers.9.weight' is in 'model-00002-of-00004.safetensors', which holds no such tensor")]
    [InlineData("\"weight_map\"", "\"weights\"", "field 'weights' is not known")]
    [InlineData("\"model.layers.0.self_attn.q_proj.weight\"", "\"model.layers.0.self_attn.k_proj.weight\"", "'model.layers.0.self_attn.k_proj.weight' stands there twice")]
    public void A_damaged_index_is_refused(string part, string by, string expected)
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        string index = folder.File("model.safetensors.index.json"), text = File.ReadAllText(index);
        Assert.Contains(part, text);
        File.WriteAllText(index, text.Replace(part, by));
        var error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path));
        Assert.StartsWith(index, error.Message);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void Files_of_another_kind_are_named()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        File.WriteAllText(folder.File("model-00003-of-00004.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
        Assert.Contains("git lfs pull", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
        File.Delete(folder.File("config.json"));
        Assert.DoesNotContain("GGUF", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
        File.WriteAllText(folder.File("model.gguf"), "GGUF");
        Assert.Contains("it has GGUF files ('model.gguf'), which aren't read", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
    }

    [Fact]
    public void A_truncated_shard_is_named()
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        string shard = folder.File("model-00003-of-00004.safetensors");
        foreach (long length in new[] { 0, 7, 8, 1000, 600_000 })
        {
            using (var stream = File.OpenWrite(shard))
                stream.SetLength(length);
            Assert.StartsWith(shard, Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
            File.Copy(TestPaths.Golden("mixtral", "model-00003-of-00004.safetensors"), shard, overwrite: true);
        }
    }

    [Fact]
    public void A_missing_tensor_is_named() => Damaged(
        tensors => tensors.Where(tensor => tensor.Name != "model.layers.1.mlp.experts.7.up_proj.weight"),
        "tensor 'model.layers.1.mlp.experts.7.up_proj.weight' is missing");

    [Fact]
    public void Another_shape_is_named_with_the_one_expected() => Damaged(
        tensors => tensors.Select(tensor => tensor.Name == "model.layers.1.mlp.gate.weight" ? tensor with { Shape = [64, 16] } : tensor),
        "tensor 'model.layers.1.mlp.gate.weight' has shape [64, 16], expected [16, 64]");

    [Fact]
    public void Another_type_is_named_with_those_expected() => Damaged(
        tensors => tensors.Select(tensor => tensor.Name == "model.norm.weight" ? tensor with { Type = TensorType.F8E4M3 } : tensor),
        "tensor 'model.norm.weight' is stored as F8_E4M3, expected F32, BF16 or F16");

    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.bias", false)]
    [InlineData("model.layers.1.mlp.gate.e_score_correction_bias", false)]
    [InlineData("model.layers.0.self_attn.rotary_emb.inv_freq", true)]
    [InlineData("model.layers.99.self_attn.q_proj.bias", true)]
    [InlineData("score.weight", true)]
    public void A_tensor_too_many_in_a_layer_is_named(string name, bool harmless)
    {
        const string expected = "is none that config.json asks for";
        TensorDeclaration[] Added(IEnumerable<TensorDeclaration> tensors) => [.. tensors, new(name, TensorType.F32, 64)];
        if (harmless)
            Damaged(Added, null);
        else
            Damaged(Added, $"tensor '{name}' {expected}");
    }

    [Fact]
    public void A_folder_without_weights_or_no_folder_is_said_so()
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        File.Delete(folder.File("model.safetensors"));
        Assert.Contains("there is neither a 'model.safetensors' nor a", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
        File.Delete(folder.File("config.json"));
        Assert.Contains("it has weights ('golden.safetensors') but no config.json", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
        Assert.Contains("there is no such folder", Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.File("none"))).Message);
        Assert.Contains("there is no such file", Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(folder.File("none"))).Message);
    }

    [Fact]
    public void Views_of_a_closed_file_throw()
    {
        var file = SafetensorsFile.Open(TestPaths.Golden("olmoe", "model.safetensors"));
        var tensor = file.Get("model.norm.weight");
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tensor.ReadFloats());
        Assert.Throws<ObjectDisposedException>(tensor.Release);
    }

    private static void Damaged(Func<IEnumerable<TensorDeclaration>, IEnumerable<TensorDeclaration>> damage, string? expected)
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        string path = folder.File("model.safetensors");
        TensorDeclaration[] tensors;
        using (var file = SafetensorsFile.Open(path))
            tensors = [.. damage(file.Tensors.Values.Select(tensor => new TensorDeclaration(tensor.Name, tensor.Type, [.. tensor.Shape])))];
        using (var writer = new SafetensorsWriter(path, tensors))
        {
            foreach (var tensor in tensors)
                writer.AppendBytes(tensor.Name, new byte[tensor.ByteLength]);
            writer.Commit();
        }

        if (expected is null)
            Checkpoint.Open(folder.Path).Dispose();
        else
            Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message);
    }
}

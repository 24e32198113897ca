using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>A checkpoint of random weights, exact in bf16, for any configuration.</summary>
internal static class RandomModel
{
    /// <summary>Writes one.</summary>
    /// <param name="config">config.json; norms' epsilon and the context are added.</param>
    /// <param name="change">Changes a tensor's values by its name.</param>
    public static TemporaryFolder Write(string config, Action<string, float[]>? change = null)
    {
        var folder = new TemporaryFolder();
        const string common = "\"rms_norm_eps\":1e-5,\"max_position_embeddings\":2048", text = "\"text_config\":{";
        File.WriteAllText(folder.File("config.json"), config.Contains(text, StringComparison.Ordinal) ? config.Replace(text, $"{text}{common},") : $"{config[..^1]},{common}}}");
        var loaded = ModelConfig.Load(folder.Path);
        var tensors = loaded.Tensors.All().ToArray();
        var random = new Random(1);
        using var writer = new CheckpointWriter(folder.Path, [.. tensors.Select(t => new TensorDeclaration(t.Name, TensorType.F32, t.Shape))], name: loaded.WeightsName);
        foreach (var tensor in tensors)
        {
            bool vector = tensor.Shape.Length == 1, norm = vector && tensor.Name.Contains("norm", StringComparison.Ordinal);
            double scale = vector ? 0.2 : tensor.Name.Contains("embed", StringComparison.Ordinal) ? 1 : 1 / Math.Sqrt(tensor.Shape[1]);
            // So that a token's experts differ in weight.
            if (tensor.Name.EndsWith("gate.weight", StringComparison.Ordinal))
                scale *= 3;
            float[] values = new float[tensor.Count];
            foreach (ref float value in values.AsSpan())
                value = Bf16.ToSingle(Bf16.FromSingle((float)((random.NextDouble() * 2 - 1) * 1.7 * scale + (norm ? 1 : 0))));
            change?.Invoke(tensor.Name, values);
            writer.Append(tensor.Name, values);
        }

        writer.Commit();
        return folder;
    }
}

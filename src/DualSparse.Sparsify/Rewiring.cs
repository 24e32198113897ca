using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>A checkpoint in FarSkip's wiring (arXiv 2511.11505): the same tensors, a field more in config.json, and weight files that only readers who know the field look for.</summary>
internal static class Rewiring
{
    /// <summary>Writes it, not taught yet.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="output">The folder to make.</param>
    /// <exception cref="ModelFormatException">The model is damaged, or has another wiring already.</exception>
    /// <exception cref="IOException">The folder isn't empty, or writing failed.</exception>
    public static void Write(string model, string output)
    {
        using var source = Checkpoint.Open(model);
        byte[] config = Rewired(source.Folder);
        CheckpointFolder.Make(CheckpointFolder.Free(output), folder =>
        {
            File.WriteAllBytes(Path.Combine(folder, ModelPath.Config), config);
            TensorView[] tensors = [.. source.Names.Select(name => source.TryGet(name, out var tensor) ? tensor : null!)];
            using (var writer = new CheckpointWriter(folder, [.. tensors.Select(t => new TensorDeclaration(t.Name, t.Type, [.. t.Shape]))], name: WiringField.FarSkip))
            {
                foreach (var tensor in tensors)
                {
                    CheckpointFolder.Append(writer, tensor);
                    tensor.Release();
                }

                writer.Commit();
            }

            CopiedFiles.Copy(source, folder);
        });
    }

    /// <summary>A config.json of its own for training to begin with, gone when it is disposed.</summary>
    /// <param name="model">The model's folder.</param>
    /// <exception cref="ModelFormatException">The model is damaged, or has another wiring already.</exception>
    public static TemporaryFile Config(string model) => new(ModelPath.Config, Rewired(ModelPath.Resolve(model)));

    private static byte[] Rewired(string folder)
    {
        string path = Path.Combine(folder, ModelPath.Config);
        byte[] bytes = ModelFile.Read(path, ModelConfig.MaxConfigBytes);
        if (ModelConfig.Parse(bytes, path, null, "").Wiring != Wiring.Standard)
            throw new ModelFormatException($"{path}: the model has the wiring {WiringField.FarSkip} already");
        var fields = JsonNode.Parse(bytes)!.AsObject();
        fields[WiringField.Name] = WiringField.FarSkip;
        byte[] rewired = JsonSerializer.SerializeToUtf8Bytes(fields, new JsonSerializerOptions { WriteIndented = true });
        // What doesn't go with it is refused before anything is written.
        ModelConfig.Parse(rewired, path, null, "");
        return rewired;
    }
}

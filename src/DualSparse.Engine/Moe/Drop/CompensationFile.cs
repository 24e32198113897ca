using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// The sidecar that holds a checkpoint's <see cref="Compensation"/>: a safetensors file under a name that other engines don't take for
/// weights, with tensors <c>layers.{l}.whole</c> and <c>layers.{l}.minor</c>, [experts, D].
/// </summary>
internal static class CompensationFile
{
    /// <summary>The file's name in the checkpoint's folder.</summary>
    public const string FileName = "dualsparse.means";

    /// <summary>Reads the compensation of a checkpoint.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="reordered">Whether its neurons were loaded in another order than the file's: then its minor halves differ.</param>
    /// <returns>By layer; null where a layer has no routed experts.</returns>
    /// <exception cref="ArgumentException">The neurons are in another order.</exception>
    /// <exception cref="ModelFormatException">The file is missing, damaged, or not of this checkpoint's shape.</exception>
    public static IReadOnlyList<Compensation?> Read(Checkpoint checkpoint, bool reordered)
    {
        if (reordered)
            throw new ArgumentException($"{FileName} holds the means of the checkpoint's own halves, but the neurons were loaded in another order");
        var config = checkpoint.Config;
        string path = Path.Combine(checkpoint.Folder, FileName);
        if (!File.Exists(path))
            throw new ModelFormatException($"{path}: there is no such file, and mean compensation needs it; 'dualsparse sparsify' writes it");
        using var file = SafetensorsFile.Open(path);
        return [.. Enumerable.Range(0, config.Layers).Select(l => config.LayerPlan[l].IsMoe ? new Compensation(config.HiddenSize, Values(l, "whole"), Values(l, "minor")) : null)];

        float[] Values(int layer, string part)
        {
            var tensor = file.Get($"layers.{layer}.{part}");
            long[] expected = [config.Moe!.Experts, config.HiddenSize];
            return tensor.Shape.SequenceEqual(expected)
                ? tensor.ReadFloats()
                : throw new ModelFormatException($"{path}: tensor '{tensor.Name}' has shape [{string.Join(", ", tensor.Shape)}], expected [{string.Join(", ", expected)}]");
        }
    }

    /// <summary>Writes it into a checkpoint's folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="layers">By layer; null where a layer has no routed experts.</param>
    /// <param name="hidden">D.</param>
    /// <exception cref="IOException">Writing failed, for example because the disk is full.</exception>
    public static void Write(string folder, IReadOnlyList<Compensation?> layers, int hidden)
    {
        Dictionary<string, float[]> tensors = [];
        for (int l = 0; l < layers.Count; l++)
        {
            if (layers[l] is not { } means)
                continue;
            tensors.Add($"layers.{l}.whole", means.Whole.ToArray());
            tensors.Add($"layers.{l}.minor", means.Minor.ToArray());
        }

        using var writer = new SafetensorsWriter(
            Path.Combine(folder, FileName), [.. tensors.Select(t => new TensorDeclaration(t.Key, TensorType.F32, [t.Value.Length / hidden, hidden]))]);
        foreach (var (name, values) in tensors)
            writer.Append(name, values);
        writer.Commit();
    }
}

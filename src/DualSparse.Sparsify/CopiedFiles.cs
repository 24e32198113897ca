using System.Text.Unicode;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>
/// What goes along from a checkpoint's folder beside new weights: what is not weights. Engines take any weights that they find in a folder,
/// and old ones are of another order or shape. A file is weights by its ending, or if it is neither text nor a picture nor a vocabulary.
/// Folders inside hold other forms of the weights (original/, onnx/), or a tool's own files (.git, .cache): they stay.
/// </summary>
internal static class CopiedFiles
{
    // By their endings, since a small one may pass as text: a pointer, say.
    private static readonly string[] s_weights =
    [
        ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".onnx_data", ".msgpack", ".h5", ".hdf5", ".tflite", ".npz", ".npy", ".nemo", ".pkl", ".pickle",
        ".ot", ".mlmodel", ".engine", ".plan", ".distcp", ".dduf", ".data", ".incomplete", ".part", ".lock", ".tmp",
    ];

    // Binary and no weights: vocabularies, pictures, documents.
    private static readonly string[] s_binary = [".model", ".spm", ".bpe", ".tiktoken", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf"];

    // It would have the adapter put over the new weights.
    private const string Adapter = "adapter_config.json";

    // Enough to tell text.
    private const int SampleBytes = 4096;

    /// <summary>Copies a folder's files, links as what they lead to.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="folder">Where to. What is there already stays.</param>
    /// <returns>What was left out, by name; folders end in a slash.</returns>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public static IReadOnlyList<string> Copy(Checkpoint source, string folder)
    {
        var own = source.Names.Select(name => source.TryGet(name, out var tensor) ? Path.GetFileName(tensor.File) : "").ToHashSet(StringComparer.Ordinal);
        List<string> left = [];
        foreach (string file in Directory.EnumerateFiles(source.Folder).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(file), target = Path.Combine(folder, name);
            // What is written anew, or speaks of the neurons in their old order.
            if (own.Contains(name) || name == ShardIndex.NameOf(source.Config.WeightsName) || name is DropProfile.FileName or CompensationFile.FileName || File.Exists(target))
                continue;
            if (!ModelFile.Exists(file) || name == Adapter || IsWeights(file))
                left.Add(name);
            else
                File.Copy(file, target);
        }

        return [.. left, .. Directory.EnumerateDirectories(source.Folder).Select(inside => Path.GetFileName(inside) + "/").Order(StringComparer.Ordinal)];
    }

    private static bool IsWeights(string file)
    {
        string ending = Path.GetExtension(file).ToLowerInvariant();
        return s_weights.Contains(ending) || file.EndsWith(".index.json", StringComparison.OrdinalIgnoreCase) || !(s_binary.Contains(ending) || IsText(file));
    }

    private static bool IsText(string file)
    {
        using var stream = File.OpenRead(file);
        byte[] sample = new byte[SampleBytes];
        int length = stream.ReadAtLeast(sample, SampleBytes, throwOnEndOfStream: false);
        // A character may be cut where the sample ends.
        return !sample.AsSpan(0, length).Contains((byte)0) && Enumerable.Range(0, Math.Min(4, length + 1)).Any(cut => Utf8.IsValid(sample.AsSpan(0, length - cut)));
    }
}

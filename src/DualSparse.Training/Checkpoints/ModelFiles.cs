using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;

namespace DualSparse.Training.Checkpoints;

/// <summary>The files of a model's folder that a run writes: configuration, tokenizer, weights.</summary>
internal static class ModelFiles
{
    private const string TokenizerFile = "tokenizer.json", Generation = "generation_config.json";

    // What a tokenizer consists of in any library's eyes, and what goes with it.
    private static readonly string[] s_tokenizer =
    [
        TokenizerFile, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>Copies configuration and tokenizer into a folder.</summary>
    /// <param name="config">A config.json.</param>
    /// <param name="tokenizer">A tokenizer's folder or tokenizer.json.</param>
    /// <param name="weights">The type in which weights will be written; the configuration says it.</param>
    /// <param name="folder">Where to.</param>
    /// <exception cref="IOException">Writing failed.</exception>
    public static void Copy(string config, string tokenizer, WeightFormat weights, string folder)
    {
        File.WriteAllBytes(Path.Combine(folder, ModelPath.Config), Typed(File.ReadAllBytes(config), weights));
        if (File.Exists(tokenizer))
            File.Copy(tokenizer, Path.Combine(folder, TokenizerFile));
        foreach (string source in File.Exists(tokenizer) ? [] : s_tokenizer.Select(name => Path.Combine(Path.GetDirectoryName(Tokenizer.FileIn(tokenizer))!, name)).Where(ModelFile.Exists))
            File.Copy(source, Path.Combine(folder, Path.GetFileName(source)));
        if (GenerationFile(config, tokenizer) is { } generation)
            File.Copy(generation, Path.Combine(folder, Generation));
        foreach (string pictures in PictureProcessor.FileNames)
        {
            if (Beside(config, tokenizer, pictures) is { } file)
                File.Copy(file, Path.Combine(folder, pictures));
        }
    }

    /// <summary>The settings for generating that go with a model: those beside its configuration, or else beside its tokenizer; null: none.</summary>
    public static string? GenerationFile(string config, string tokenizer) => Beside(config, tokenizer, Generation);

    /// <summary>A file beside a model's configuration, or else beside its tokenizer; null: there is none.</summary>
    public static string? Beside(string config, string tokenizer, string name) =>
        new[] { Path.GetDirectoryName(Path.GetFullPath(config))!, File.Exists(tokenizer) ? Path.GetDirectoryName(Path.GetFullPath(tokenizer))! : tokenizer }
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(ModelFile.Exists);

    /// <summary>Writes the weights, rounded to their type, as a checkpoint's: the old file or the whole new one is there.</summary>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public static void WriteWeights(string folder, ParameterSet set, WeightFormat weights)
    {
        var type = weights == WeightFormat.F32 ? TensorType.F32 : TensorType.BF16;
        using var writer = new CheckpointWriter(folder, [.. set.Stored.Select(stored => new TensorDeclaration(stored.Tensor.Name, type, stored.Tensor.Shape))], name: set.WeightsName);
        foreach (var stored in set.Stored)
            writer.Append(stored.Tensor.Name, stored.Values(set));
        writer.Commit();
        FolderSync.Flush(folder);
    }

    /// <summary>SHA-256 of a folder's configuration.</summary>
    public static string ConfigHash(string folder) => Hash(folder, ModelPath.Config);

    /// <summary>SHA-256 of what a folder's tokenizer is read from.</summary>
    public static string TokenizerHash(string folder) => Hash(folder, TokenizerFile, "tokenizer_config.json");

    private static string Hash(string folder, params ReadOnlySpan<string> names)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in names)
        {
            string path = Path.Combine(folder, name);
            hash.AppendData(File.Exists(path) ? SHA256.HashData(File.ReadAllBytes(path)) : []);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // Libraries load weights in the type that the configuration names.
    private static byte[] Typed(byte[] config, WeightFormat weights)
    {
        try
        {
            if (JsonNode.Parse(config) is not JsonObject fields)
                return config;
            fields[fields.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = weights == WeightFormat.F32 ? "float32" : "bfloat16";
            return JsonSerializer.SerializeToUtf8Bytes(fields, new JsonSerializerOptions { WriteIndented = true });
        }
        catch (JsonException)
        {
            // With NaN or Infinity, which Python writes: no such number is followed, and the rest says what it said.
            return config;
        }
    }
}

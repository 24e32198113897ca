using System.Text.RegularExpressions;

namespace DualSparse.Models;

/// <summary>From what somebody gives as a model to the folder that has its files: THE reading of a path, before any file is parsed.</summary>
internal static partial class ModelPath
{
    /// <summary>The file that makes a folder a model's.</summary>
    public const string Config = "config.json";

    /// <summary>The folder meant: of a hub's cache folder the snapshot that <c>refs/main</c> names, or its only one; any other as it is.</summary>
    /// <exception cref="ModelFormatException">There is no such folder, or it is a cache folder from which no snapshot follows.</exception>
    public static string Follow(string path)
    {
        if (File.Exists(path))
            throw new ModelFormatException(GivenFile(path));
        if (!Directory.Exists(path))
        {
            throw new ModelFormatException(
                $"{path}: there is no such folder; give one that has config.json, tokenizer.json and the safetensors (nothing is downloaded{(HubName().IsMatch(path) ? $": fetch it by 'hf download {path} --local-dir FOLDER'" : ": fetch a hub's files first")})");
        }

        return ModelFile.Exists(Path.Combine(path, Config)) || !Directory.Exists(Path.Combine(path, "snapshots")) ? path : Snapshot(path);
    }

    /// <summary>The model's folder that a path means.</summary>
    /// <exception cref="ModelFormatException">It means none: the message says what stands there instead, and what to do.</exception>
    public static string Resolve(string path)
    {
        string folder = Follow(path);
        return ModelFile.Exists(Path.Combine(folder, Config)) ? folder : throw new ModelFormatException($"{folder}: {FolderKind.WithoutConfig(new FolderContents(folder))}");
    }

    private static string GivenFile(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
            return $"{path} is a GGUF file, which isn't read: give a folder that has config.json, tokenizer.json and the safetensors";
        return ModelFile.Exists(Path.Combine(folder, Config))
            ? $"{path} is a file of a model: give its folder, {folder}"
            : $"{path} is a file: give the folder that has config.json, tokenizer.json and the safetensors";
    }

    private static string Snapshot(string path)
    {
        var snapshots = new FolderContents(Path.Combine(path, "snapshots"));
        string main = Path.Combine(path, "refs", "main");
        if (File.Exists(main) && TextOf(main) is { } hash && snapshots.Folders.Contains(hash))
            return snapshots.In(hash);
        return snapshots.Folders switch
        {
            [var only] => snapshots.In(only),
            [] => throw new ModelFormatException($"{path}: this folder of a hub's cache holds no snapshot: download the model again"),
            [var first, ..] => throw new ModelFormatException($"{path}: this folder of a hub's cache holds {snapshots.Folders.Count} snapshots and 'refs/main' names none of them: give one, such as {snapshots.In(first)}"),
        };
    }

    private static string? TextOf(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // organisation/model, as hubs name them.
    [GeneratedRegex(@"^[\w.-]*[A-Za-z][\w.-]*/[\w.-]+$")]
    private static partial Regex HubName();
}

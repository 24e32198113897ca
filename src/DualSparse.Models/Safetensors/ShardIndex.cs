namespace DualSparse.Models.Safetensors;

/// <summary>The index of a sharded checkpoint: which file holds which tensor.</summary>
internal static class ShardIndex
{
    /// <summary>The index's name in its folder, of ordinary checkpoints.</summary>
    public const string FileName = "model.safetensors.index.json";

    /// <summary>The index's name where weight files' names begin with another word than <c>model</c>.</summary>
    public static string NameOf(string weights) => $"{weights}.safetensors.index.json";

    // The largest releases have some ten megabytes.
    private const long MaxBytes = 64 << 20;

    /// <summary>Reads the index: tensor name to file name.</summary>
    /// <exception cref="ModelFormatException">It is damaged, or names a file outside its own folder.</exception>
    public static Dictionary<string, string> Read(string path) => Parse(ModelFile.Read(path, MaxBytes), path);

    /// <summary>Reads the index's bytes; <paramref name="path"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">As for <see cref="Read"/>.</exception>
    public static Dictionary<string, string> Parse(ReadOnlySpan<byte> json, string path)
    {
        var index = JsonField.Parse(json, path);
        if (index.Children().Keys.FirstOrDefault(name => name is not ("metadata" or "weight_map")) is { } other)
            throw index.Error($"field '{other}' is not known to this program");
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (tensor, file) in index.Child("weight_map").Children())
        {
            if (!IsPlainName(file.AsText()))
                throw index.Error($"tensor '{tensor}' is in '{file.AsText()}', expected the plain name of a file beside the index");
            map.Add(tensor, file.AsText());
        }

        return map;
    }

    private static bool IsPlainName(string file) =>
        file.Length is > 0 and <= 255 && file != "." && file != ".." && file.AsSpan().IndexOfAny("/\\:\0") < 0;
}

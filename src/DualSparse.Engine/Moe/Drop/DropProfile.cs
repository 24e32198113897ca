using System.Text.Json;
using System.Text.Json.Serialization;
using DualSparse.Models;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>What dualsparse.json says about dropping: for each method, the thresholds that give a rate, and the loss to expect.</summary>
/// <param name="Methods">The methods, the best first.</param>
internal sealed record DropProfile(IReadOnlyList<DropMethod>? Methods)
{
    /// <summary>The file's name in the checkpoint's folder.</summary>
    public const string FileName = "dualsparse.json";

    // Thresholds of every expert of a large model are some megabytes.
    private const long MaxBytes = 256 << 20;

    /// <summary>How the file is written and read.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Reads a folder's; null where there is none.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static DropProfile? Find(string folder)
    {
        string path = Path.Combine(ModelPath.Follow(folder), FileName);
        return ModelFile.TryRead(path, MaxBytes) is { } json ? Parse(json, path) : null;
    }

    /// <summary>Reads the part of a folder's that a type has; null where there is no file.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static T? Read<T>(string folder)
        where T : class
    {
        string path = Path.Combine(ModelPath.Follow(folder), FileName);
        return ModelFile.TryRead(path, MaxBytes) is { } json ? Parse<T>(json, path) : null;
    }

    /// <summary>Reads a file's bytes; <paramref name="path"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are damaged.</exception>
    internal static DropProfile? Parse(ReadOnlySpan<byte> json, string path)
    {
        var profile = Parse<DropProfile>(json, path);
        return (profile?.Methods ?? []).Select(method => DropMethod.Fault(method)).FirstOrDefault(fault => fault is not null) is { } fault
            ? throw new ModelFormatException($"{path}: {fault}")
            : profile;
    }

    private static T? Parse<T>(ReadOnlySpan<byte> json, string path)
    {
        var whole = JsonField.Parse(json, path);
        whole.Children();
        try
        {
            return whole.Element.Deserialize<T>(Json);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            string where = (e as JsonException)?.Path is ['$', '.', .. var field] ? $"'{field}'" : "a value";
            throw new ModelFormatException($"{path}: {where} is not as 'dualsparse sparsify' writes it: make the file anew ({e.Message.Split('\n')[0].Split(" Path: ")[0]})", e);
        }
    }
}

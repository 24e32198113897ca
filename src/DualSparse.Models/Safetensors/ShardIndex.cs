using System.Text.Json;
using System.Text.Unicode;

namespace DualSparse.Models.Safetensors;

/// <summary>The index of a sharded checkpoint: which file holds which tensor.</summary>
internal static class ShardIndex
{
    /// <summary>The index's name in its folder.</summary>
    public const string FileName = "model.safetensors.index.json";

    // The largest releases have some ten megabytes.
    private const long MaxBytes = 64 << 20;

    /// <summary>Reads the index: tensor name to file name.</summary>
    /// <exception cref="ModelFormatException">It is damaged, or names a file outside its own folder.</exception>
    public static Dictionary<string, string> Read(string path) => Parse(ModelFile.Read(path, MaxBytes), path);

    /// <summary>Reads the index's bytes; <paramref name="path"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">As for <see cref="Read"/>.</exception>
    public static Dictionary<string, string> Parse(ReadOnlySpan<byte> json, string path)
    {
        if (!Utf8.IsValid(json))
            throw new ModelFormatException($"{path}: it is not valid UTF-8");
        try
        {
            return ReadObject(json, path) ?? throw new ModelFormatException($"{path}: 'weight_map' is missing");
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{path}: it is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine})", e);
        }
        catch (InvalidOperationException e)
        {
            // What Utf8JsonReader.GetString says of an escape such as \ud800 that stands for no character.
            throw new ModelFormatException($"{path}: it holds a string that is no valid text", e);
        }
    }

    private static Dictionary<string, string>? ReadObject(ReadOnlySpan<byte> json, string path)
    {
        var reader = new Utf8JsonReader(json);
        Dictionary<string, string>? map = null;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw new ModelFormatException($"{path}: it is not a JSON object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            reader.Read();
            if (field == "metadata")
                reader.Skip();
            else if (field != "weight_map")
                throw new ModelFormatException($"{path}: field '{field}' is not known to this program");
            else if (map is not null)
                throw new ModelFormatException($"{path}: 'weight_map' stands there twice");
            else
                map = ReadMap(ref reader, path);
        }

        reader.Read(); // past the end: anything but white space is an error
        return map;
    }

    private static Dictionary<string, string> ReadMap(ref Utf8JsonReader reader, string path)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new ModelFormatException($"{path}: 'weight_map' is not an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string tensor = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw new ModelFormatException($"{path}: the file of tensor '{tensor}' is not a string");
            string file = reader.GetString()!;
            if (!IsPlainName(file))
                throw new ModelFormatException($"{path}: tensor '{tensor}' is in '{file}', expected the plain name of a file beside the index");
            if (!map.TryAdd(tensor, file))
                throw new ModelFormatException($"{path}: tensor '{tensor}' stands there twice");
        }

        return map;
    }

    private static bool IsPlainName(string file) =>
        file.Length is > 0 and <= 255 && file != "." && file != ".." && file.AsSpan().IndexOfAny("/\\:\0") < 0;
}

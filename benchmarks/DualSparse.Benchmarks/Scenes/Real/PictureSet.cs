using System.Text.Json;
using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>Pictures of one size, one after the other in a file of RGB bytes, with a JSON object a line about each in another.</summary>
internal static class PictureSet
{
    /// <summary>Reads both files.</summary>
    /// <exception cref="InvalidDataException">The bytes aren't those of as many pictures as there are lines.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public static IReadOnlyList<(JsonElement Fields, Pixels Picture)> Read(string lines, string pictures, int width, int height)
    {
        JsonElement[] fields = [.. File.ReadLines(lines).Where(line => line.Length > 0).Select(line => JsonDocument.Parse(line).RootElement)];
        byte[] bytes = File.ReadAllBytes(pictures);
        int size = 3 * width * height;
        if (bytes.Length != (long)size * fields.Length)
            throw new InvalidDataException($"{pictures} has {bytes.Length} bytes, expected {size} for each of the {fields.Length} lines of {lines}");
        return [.. fields.Select((field, i) => (field, new Pixels(width, height, bytes[(i * size)..((i + 1) * size)])))];
    }
}

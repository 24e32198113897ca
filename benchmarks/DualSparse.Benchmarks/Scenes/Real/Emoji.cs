using System.Text.RegularExpressions;
using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>An emoji.</summary>
/// <param name="Label">What it shows.</param>
/// <param name="Tags">Words about it.</param>
/// <param name="Picture">[32, 32, 3].</param>
internal sealed partial record Emoji(string Label, IReadOnlyList<string> Tags, Pixels Picture)
{
    /// <summary>A picture's width and height.</summary>
    public const int Side = 32;

    /// <summary>The words of its label, those that say nothing left out.</summary>
    public IReadOnlySet<string> LabelWords { get; } = Words(Label);

    /// <summary>The words of its label and its tags.</summary>
    public IReadOnlySet<string> AllWords { get; } = Words(string.Join(' ', [Label, .. Tags]));

    /// <summary>Reads a folder's captions.jsonl and images_32x32_rgb.bin.</summary>
    public static IReadOnlyList<Emoji> Read(string folder) =>
        [.. PictureSet.Read(Path.Combine(folder, "captions.jsonl"), Path.Combine(folder, $"images_{Side}x{Side}_rgb.bin"), Side, Side)
            .Select(row => new Emoji(row.Fields.GetProperty("label").GetString()!, [.. row.Fields.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)], row.Picture))];

    private static HashSet<string> Words(string text) => [.. Word().Matches(text.ToLowerInvariant()).Select(word => word.Value).Where(word => word is not ("a" or "and" or "in" or "of" or "the" or "with"))];

    [GeneratedRegex(@"[\w’'-]+")]
    private static partial Regex Word();
}

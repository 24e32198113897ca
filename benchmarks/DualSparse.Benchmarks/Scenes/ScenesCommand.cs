using System.Globalization;
using DualSparse.Benchmarks.Scenes.Real;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>Writes what the small vision-language model is trained and tested on: drawn scenes, and real pictures where their folders are given.</summary>
internal static class ScenesCommand
{
    private const string Usage = "usage: scenes OUT [--seed N] [--records N] [--items N] [--nlvr FOLDER] [--emoji FOLDER] | scenes sample FILE [--seed N]";

    /// <summary>Writes OUT/train and OUT/test, or one picture.</summary>
    public static int Run(string[] args)
    {
        bool sample = args is ["sample", ..];
        string[] words = sample ? args[1..] : args;
        if (words is not [var output, .. var rest] || Options(rest) is not { } options)
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        ulong seed = ulong.Parse(options.GetValueOrDefault("--seed", "18"), CultureInfo.InvariantCulture);
        Console.WriteLine($"seed {seed}");
        if (sample)
        {
            File.WriteAllBytes(output, PngWriter.Write(SceneSample.Draw(seed).Picture()));
            return 0;
        }

        string train = Directory.CreateDirectory(Path.Combine(output, "train")).FullName, test = Directory.CreateDirectory(Path.Combine(output, "test")).FullName;
        if (Number("--records", 150_000) is > 0 and var records)
            new SceneFiles(seed, Console.Out).Write(train, test, records, Number("--items", 2000));
        if (options.TryGetValue("--nlvr", out string? nlvr))
        {
            var (learned, tested) = NlvrFiles.Write(nlvr, train, test, seed);
            Console.WriteLine($"nlvr: {learned} records, {tested} items");
        }

        if (options.TryGetValue("--emoji", out string? emoji))
        {
            var (learned, tested, byWords, byTags) = EmojiFiles.Write(emoji, train, test, seed);
            Console.WriteLine($"emoji: {learned} records, {tested} items among ten; nearest neighbour in pixels {byWords:P1}, knowing the choices' tags {byTags:P1}");
        }

        return 0;

        int Number(string name, int otherwise) => options.TryGetValue(name, out string? text) ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
    }

    private static Dictionary<string, string>? Options(string[] words)
    {
        string[] known = [.. Usage.Split(' ', '[', ']').Where(word => word.StartsWith("--", StringComparison.Ordinal))];
        return words.Length % 2 == 0 && words.Chunk(2).All(pair => known.Contains(pair[0])) ? words.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]) : null;
    }
}

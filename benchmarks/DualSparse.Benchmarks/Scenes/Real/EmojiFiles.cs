using System.Text.Json;

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>Pictures with captions: those trained on, in several copies, and those held out as a choice among ten labels.</summary>
internal static class EmojiFiles
{
    /// <summary>Records of each picture.</summary>
    public const int Copies = 20;

    // Tags that a record names.
    private const int Tags = 3;

    /// <summary>Writes train/emoji-….jsonl, test/emoji.jsonl, and for each item of the latter whether the nearest neighbour is right: test/emoji_neighbour.jsonl.</summary>
    /// <returns>The number of records and items, and the shares that the nearest neighbour gets right, by labels' words and knowing their tags too.</returns>
    public static (int Records, int Items, double Words, double Tags) Write(string folder, string train, string test, ulong seed)
    {
        var (training, choices) = EmojiChoice.Split(Emoji.Read(folder), seed);
        // A file for each half of the copies stays below 20,000 records.
        for (int half = 0; half < 2; half++)
        {
            using var learned = File.Create(Path.Combine(train, $"emoji-{half:00}.jsonl"));
            for (int copy = half * Copies / 2; copy < (half + 1) * Copies / 2; copy++)
            {
                for (int i = 0; i < training.Count; i++)
                {
                    var random = new SceneRandom(seed, SceneStream.EmojiTraining, (long)i * Copies + copy);
                    JsonLines.WriteRecord(learned, copy == 0 ? training[i].Picture : EmojiAugmentation.Of(training[i], random), Turns(training[i], random));
                }
            }
        }

        using var tested = File.Create(Path.Combine(test, "emoji.jsonl"));
        using var neighbours = new StreamWriter(Path.Combine(test, "emoji_neighbour.jsonl"));
        int words = 0, tags = 0;
        foreach (var choice in choices)
        {
            JsonLines.WriteItem(tested, choice.Shown.Picture, "The picture shows", choice.Choices.Select(other => other.Label), choice.Choices.ToList().IndexOf(choice.Shown));
            bool byWords = EmojiNeighbour.Choose(choice, training, tags: false) == choice.Shown, byTags = EmojiNeighbour.Choose(choice, training, tags: true) == choice.Shown;
            neighbours.Write(JsonSerializer.Serialize(new { label = choice.Shown.Label, right = byWords, right_with_tags = byTags }) + "\n");
            words += byWords ? 1 : 0;
            tags += byTags ? 1 : 0;
        }

        return (training.Count * Copies, choices.Count, words / (double)choices.Count, tags / (double)choices.Count);
    }

    private static IEnumerable<Turn> Turns(Emoji emoji, SceneRandom random)
    {
        yield return new Turn("The picture shows", " " + emoji.Label);
        if (emoji.Tags.Count > 0)
            yield return new Turn("It is about", " " + string.Join(", ", random.Shuffled(emoji.Tags).Take(Tags)));
    }
}

using System.Text.RegularExpressions;
using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>
/// Sentences that people wrote about pictures of three boxes (Suhr, Lewis, Yeh, Artzi: "A Corpus of Natural Language for Visual Reasoning", 2017), made
/// smaller: dev to train on, its boxes in other orders and mirrored where the sentence doesn't speak of either, and test as it is.
/// </summary>
internal static partial class NlvrFiles
{
    /// <summary>Records of each sentence that boxes in another order leave true.</summary>
    public const int Copies = 6;

    /// <summary>Writes train/nlvr.jsonl and test/nlvr_test.jsonl.</summary>
    /// <param name="folder">Where dev.jsonl, dev_rgb_128x32.bin and those of test lie.</param>
    /// <param name="train">The folder for what is trained on.</param>
    /// <param name="test">The folder for what is tested.</param>
    /// <param name="seed">The seed.</param>
    /// <returns>How many records and items were written.</returns>
    public static (int Records, int Items) Write(string folder, string train, string test, ulong seed)
    {
        int records = 0, items = 0;
        using var learned = File.Create(Path.Combine(train, "nlvr.jsonl"));
        var dev = Read(folder, "dev");
        for (int copy = 0; copy < Copies; copy++)
        {
            for (int i = 0; i < dev.Count; i++)
            {
                var (sentence, holds, picture) = dev[i];
                bool free = !Places().IsMatch(sentence);
                if (copy > 0 && !free)
                    continue;
                var random = new SceneRandom(seed, SceneStream.Nlvr, (long)i * Copies + copy);
                JsonLines.WriteRecord(learned, copy == 0 ? picture : Reordered(picture, random), [new Turn(sentence, holds ? " true" : " false")]);
                records++;
            }
        }

        using var tested = File.Create(Path.Combine(test, "nlvr_test.jsonl"));
        foreach (var (sentence, holds, picture) in Read(folder, "test"))
        {
            JsonLines.WriteItem(tested, picture, sentence, ["true", "false"], holds ? 0 : 1);
            items++;
        }

        return (records, items);
    }

    /// <summary>A picture whose boxes stand in another order, each mirrored or not.</summary>
    public static Pixels Reordered(Pixels picture, SceneRandom random)
    {
        byte[] rgb = [.. picture.Rgb];
        int[] order = random.Shuffled(Enumerable.Range(0, Scene.Boxes));
        for (int box = 0; box < Scene.Boxes; box++)
        {
            bool mirrored = random.Chance(0.5);
            for (int pixel = 0; pixel < Scene.BoxSide * Scene.BoxSide; pixel++)
            {
                int row = pixel / Scene.BoxSide, column = pixel % Scene.BoxSide, from = mirrored ? Scene.BoxSide - 1 - column : column;
                picture.Rgb.AsSpan(At(order[box], row, from), 3).CopyTo(rgb.AsSpan(At(box, row, column)));
            }
        }

        return picture with { Rgb = rgb };

        static int At(int box, int row, int column) => 3 * (row * Scene.Width + box * Scene.BoxStep + column);
    }

    private static List<(string Sentence, bool Holds, Pixels Picture)> Read(string folder, string part) =>
        [.. PictureSet.Read(Path.Combine(folder, $"{part}.jsonl"), Path.Combine(folder, $"{part}_rgb_128x32.bin"), Scene.Width, Scene.Height)
            .Select(row => (row.Fields.GetProperty("sentence").GetString()!.Trim(), row.Fields.GetProperty("label").GetString() == "true", row.Picture))];

    // Words after which the order of boxes, or left and right, may matter. "right on top" is left out with them.
    [GeneratedRegex(@"\b(left|right|middle|cent(er|re)|first|second|third|last|between|next|side)\w*\b", RegexOptions.IgnoreCase)]
    private static partial Regex Places();
}

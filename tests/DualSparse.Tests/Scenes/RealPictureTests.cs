using System.Text.Json;
using DualSparse.Benchmarks.Scenes;
using DualSparse.Benchmarks.Scenes.Real;
using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Scenes;

/// <summary>Real pictures as records and tests; their files here hold noise.</summary>
public class RealPictureTests
{
    [Fact]
    public void Boxes_change_places_only_where_the_sentence_does_not_speak_of_them()
    {
        using var folder = new TemporaryFolder();
        string[] sentences = ["There is a black block. ", "The LEFT box is empty.", "The second tower is blue.", "All items are yellow."];
        WriteNlvr(folder, "dev", sentences);
        WriteNlvr(folder, "test", sentences[..2]);
        Assert.Equal((2 * NlvrFiles.Copies + 2, 2), NlvrFiles.Write(folder.Path, folder.Path, folder.Path, 1));
        var records = File.ReadLines(folder.File("nlvr.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        var free = records.Where(record => Prompt(record) == "There is a black block.").Select(Shown).ToList();
        Assert.Equal(NlvrFiles.Copies, free.Count);
        byte[] plain = File.ReadAllBytes(folder.File("dev_rgb_128x32.bin"))[..(128 * 32 * 3)];
        Assert.Equal(plain, free[0].Rgb);
        Assert.Contains(free, picture => !picture.Rgb.SequenceEqual(plain));
        // What is between boxes stays, and each box is one of the picture's, mirrored or not.
        Assert.All(free, picture =>
        {
            Assert.Equal(Columns(plain, 32, 16), Columns(picture.Rgb, 32, 16));
            string[] boxes = [.. new[] { 0, 48, 96 }.Select(from => Least(Columns(picture.Rgb, from, 32)))];
            Assert.Equal(new[] { 0, 48, 96 }.Select(from => Least(Columns(plain, from, 32))).Order(StringComparer.Ordinal), boxes.Order(StringComparer.Ordinal));
        });
        Assert.Equal(" true", records[0].GetProperty("turns")[0].GetProperty("answer").GetString());
        Assert.Equal(" false", records[1].GetProperty("turns")[0].GetProperty("answer").GetString());
        Assert.Equal([0, 1], File.ReadLines(folder.File("nlvr_test.jsonl")).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("gold").GetInt32()));
    }

    [Fact]
    public void Files_that_do_not_fit_each_other_are_named()
    {
        using var folder = new TemporaryFolder();
        WriteNlvr(folder, "dev", ["One.", "Two."]);
        File.WriteAllBytes(folder.File("dev_rgb_128x32.bin"), new byte[5]);
        string message = Assert.Throws<InvalidDataException>(() => NlvrFiles.Write(folder.Path, folder.Path, folder.Path, 1)).Message;
        Assert.Contains("dev_rgb_128x32.bin has 5 bytes, expected 12288 for each of the 2 lines", message);
    }

    [Fact]
    public void Ten_labels_are_held_out_ones_and_the_split_is_the_seeds()
    {
        var all = Emojis(400);
        var (training, test) = EmojiChoice.Split(all, 1);
        Assert.Equal((400 - EmojiChoice.HeldOut, EmojiChoice.HeldOut), (training.Count, test.Count));
        Assert.Equal(all.Select(emoji => emoji.Label).Order(), training.Concat(test.Select(choice => choice.Shown)).Select(emoji => emoji.Label).Order());
        foreach (var choice in test)
        {
            Assert.Equal(EmojiChoice.Labels, choice.Choices.Distinct().Count());
            Assert.Contains(choice.Shown, choice.Choices);
            Assert.Empty(choice.Choices.Intersect(training));
        }

        // The right one stands anywhere.
        Assert.Equal(EmojiChoice.Labels, test.Select(choice => choice.Choices.ToList().IndexOf(choice.Shown)).Distinct().Count());
        Assert.Equal(test.Select(choice => choice.Shown.Label), EmojiChoice.Split(all, 1).Test.Select(choice => choice.Shown.Label));
        Assert.NotEqual(test.Select(choice => choice.Shown.Label), EmojiChoice.Split(all, 2).Test.Select(choice => choice.Shown.Label));
    }

    [Fact]
    public void The_nearest_picture_chooses_the_label_with_most_of_its_words()
    {
        Emoji shown = Emoji("grinning cat", 10), near = Emoji("cat face", 12), far = Emoji("red apple", 90), other = Emoji("green apple", 200), plain = Emoji("house", 50, "grinning");
        var choice = new EmojiChoice(shown, [other, plain, shown]);
        Assert.Same(shown, EmojiNeighbour.Choose(choice, [far, near], tags: false));
        Assert.Same(other, EmojiNeighbour.Choose(choice, [far], tags: false));
        // Where the nearest says nothing about any, the next one is asked.
        Assert.Same(other, EmojiNeighbour.Choose(choice, [far, Emoji("bell", 10)], tags: false));
        Assert.Same(plain, EmojiNeighbour.Choose(new EmojiChoice(shown, [other, plain]), [Emoji("grinning", 10), far], tags: true));
        Assert.Same(other, EmojiNeighbour.Choose(new EmojiChoice(shown, [other, plain]), [Emoji("grinning", 10), far], tags: false));
    }

    [Fact]
    public void Other_pictures_of_a_thing_stay_near_it()
    {
        byte[] rgb = new byte[32 * 32 * 3];
        Array.Fill(rgb, (byte)255);
        // A dark square at the left half.
        for (int y = 10; y < 22; y++)
            rgb.AsSpan(3 * (y * 32 + 4), 3 * 10).Fill(40);
        Emoji free = new("thing", [], new Pixels(32, 32, rgb)), sided = new("left thing", [], free.Picture);
        int mirrored = 0;
        for (int i = 0; i < 40; i++)
        {
            var picture = EmojiAugmentation.Of(free, new SceneRandom(1, SceneStream.EmojiTraining, i));
            Assert.Equal(255, picture.Rgb[0]);
            int dark = Dark(picture);
            Assert.InRange(dark, 80, 190);
            mirrored += Left(picture) < dark / 2 ? 1 : 0;
            var kept = EmojiAugmentation.Of(sided, new SceneRandom(1, SceneStream.EmojiTraining, i));
            Assert.InRange(Left(kept), 1 + Dark(kept) / 2, 190);
        }

        Assert.InRange(mirrored, 8, 32);

        static int Dark(Pixels picture) => picture.Rgb.Where((value, at) => at % 3 == 0 && value < 150).Count();
        static int Left(Pixels picture) => picture.Rgb.Where((value, at) => at % 3 == 0 && at / 3 % 32 < 16 && value < 150).Count();
    }

    [Fact]
    public void Emoji_become_records_and_a_test()
    {
        using var folder = new TemporaryFolder();
        var all = Emojis(EmojiChoice.HeldOut + 3);
        File.WriteAllLines(folder.File("captions.jsonl"), all.Select(emoji => JsonSerializer.Serialize(new { label = emoji.Label, tags = emoji.Tags })));
        File.WriteAllBytes(folder.File("images_32x32_rgb.bin"), [.. all.SelectMany(emoji => emoji.Picture.Rgb)]);
        var (records, items, _, _) = EmojiFiles.Write(folder.Path, folder.Path, folder.Path, 1);
        Assert.Equal((3 * EmojiFiles.Copies, EmojiChoice.HeldOut), (records, items));
        Assert.Equal(records, File.ReadLines(folder.File("emoji-00.jsonl")).Concat(File.ReadLines(folder.File("emoji-01.jsonl"))).Count());
        Assert.Equal(items, File.ReadLines(folder.File("emoji_neighbour.jsonl")).Count());
        foreach (var item in File.ReadLines(folder.File("emoji.jsonl")).Select(line => JsonDocument.Parse(line).RootElement))
        {
            string label = item.GetProperty("choices")[item.GetProperty("gold").GetInt32()].GetString()!;
            Assert.Equal(all.Single(emoji => emoji.Label == label).Picture.Rgb, Shown(item).Rgb);
        }
    }

    private static string Prompt(JsonElement record) => record.GetProperty("turns")[0].GetProperty("prompt").GetString()!;

    private static Pixels Shown(JsonElement record) => PngFile.Decode(DataUri.Read(record.GetProperty("images")[0].GetString()!, "a"), "a");

    private static byte[][] Columns(byte[] rgb, int from, int count) =>
        [.. Enumerable.Range(from, count).Select(x => Enumerable.Range(0, 32).SelectMany(y => rgb[(3 * (y * 128 + x))..(3 * (y * 128 + x) + 3)]).ToArray())];

    // The same for a box and its mirror image.
    private static string Least(byte[][] columns)
    {
        string one = string.Concat(columns.Select(Convert.ToHexString)), other = string.Concat(columns.Reverse().Select(Convert.ToHexString));
        return string.CompareOrdinal(one, other) < 0 ? one : other;
    }

    private static void WriteNlvr(TemporaryFolder folder, string part, string[] sentences)
    {
        File.WriteAllLines(folder.File($"{part}.jsonl"), sentences.Select((sentence, i) => JsonSerializer.Serialize(new { sentence, label = i % 2 == 0 ? "true" : "false" })));
        byte[] rgb = new byte[sentences.Length * 128 * 32 * 3];
        new Random(4).NextBytes(rgb);
        File.WriteAllBytes(folder.File($"{part}_rgb_128x32.bin"), rgb);
    }

    private static Emoji[] Emojis(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        byte[] rgb = new byte[32 * 32 * 3];
        new Random(i).NextBytes(rgb);
        return new Emoji($"thing {i}", [$"tag{i % 7}"], new Pixels(32, 32, rgb));
    })];

    private static Emoji Emoji(string label, byte grey, params string[] tags) => new(label, tags, new Pixels(32, 32, [.. Enumerable.Repeat(grey, 32 * 32 * 3)]));
}

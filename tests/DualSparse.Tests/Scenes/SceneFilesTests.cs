using System.Text.Json;
using DualSparse.Benchmarks.Scenes;
using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Scenes;

/// <summary>The files of drawn scenes: the same bytes from the same seed, in the formats that training and tasks read.</summary>
public class SceneFilesTests
{
    [Fact]
    public void A_seed_gives_the_same_bytes()
    {
        using TemporaryFolder one = new(), same = new(), other = new();
        string report = Write(one, 7);
        Assert.Equal(report, Write(same, 7));
        Write(other, 8);
        string[] names = [.. Directory.GetFiles(one.Path).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];
        Assert.Equal(["scenes-00.jsonl", "scenes_comparison.jsonl", "scenes_count.jsonl", "scenes_existence.jsonl", "scenes_position.jsonl", "scenes_touching.jsonl"], names);
        foreach (string name in names)
        {
            byte[] bytes = File.ReadAllBytes(one.File(name));
            Assert.Equal(bytes, File.ReadAllBytes(same.File(name)));
            Assert.NotEqual(bytes, File.ReadAllBytes(other.File(name)));
        }

        Assert.Contains("touching: 20 items, 10 true; guessed from the sentence 50.0 %", report);
    }

    [Fact]
    public void Records_and_items_have_their_fields()
    {
        using var folder = new TemporaryFolder();
        Write(folder, 7);
        string[] records = File.ReadAllLines(folder.File("scenes-00.jsonl")), items = File.ReadAllLines(folder.File("scenes_count.jsonl"));
        Assert.Equal((40, 20), (records.Length, items.Length));
        foreach (string line in records)
        {
            var record = JsonDocument.Parse(line).RootElement;
            var seen = Seen(record);
            foreach (var turn in record.GetProperty("turns").EnumerateArray())
                Assert.Equal(Answer(seen, turn.GetProperty("prompt").GetString()!), turn.GetProperty("answer").GetString());
        }

        foreach (string line in items)
        {
            var item = JsonDocument.Parse(line).RootElement;
            Assert.Equal(["true", "false"], item.GetProperty("choices").EnumerateArray().Select(choice => choice.GetString()));
            Assert.Equal(SentenceReader.Read(Seen(item), item.GetProperty("query").GetString()!).Holds ? 0 : 1, item.GetProperty("gold").GetInt32());
        }

        static SeenScene Seen(JsonElement line) =>
            new(PngFile.Decode(DataUri.Read(Assert.Single(line.GetProperty("images").EnumerateArray()).GetString()!, "images[0]"), "images[0]"));
    }

    // By the picture's pixels alone.
    private static string Answer(SeenScene seen, string prompt)
    {
        SeenItem[] items = [.. seen.Items.OrderBy(item => item.Box).ThenBy(item => item.Top).ThenBy(item => item.Left)];
        string[] words = prompt.TrimEnd(':').Split(' '), numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"];
        return " " + prompt switch
        {
            "The boxes hold" => string.Join("; ", Enumerable.Range(0, 3).Select(box => Listed(items.Where(item => item.Box == box).Select(Name), "nothing"))) + ".",
            "Towers:" => Listed(seen.Towers.OrderBy(tower => tower[0].Box).Select(tower => $"{numbers[tower.Length]} blocks, {tower.MinBy(item => item.Top)!.Colour} at the top, {tower.MaxBy(item => item.Top)!.Colour} at the base"), "none"),
            _ when prompt.StartsWith("Number of", StringComparison.Ordinal) => numbers[Meant(words[2..]).Count()],
            _ when prompt.StartsWith("Boxes with a", StringComparison.Ordinal) => Listed(Meant(words[3..]).Select(item => item.Box).Distinct().Select(box => new[] { "left", "middle", "right" }[box]), "none"),
            _ when prompt.EndsWith(" touches:", StringComparison.Ordinal) => Listed((Meant(words[1..^1]).Any(item => item.AtWall) ? new[] { "the wall" } : [])
                .Concat(items.Where(other => Meant(words[1..^1]).Any(item => item != other && item.Touches(other))).Select(Name)), "nothing"),
            _ when prompt.EndsWith(" items:", StringComparison.Ordinal) => Listed(Meant([words[0].ToLowerInvariant()]).Select(item => item.Shape), "none"),
            _ when prompt.EndsWith("s:", StringComparison.Ordinal) => Listed(Meant([words[0].ToLowerInvariant()]).Select(item => item.Colour), "none"),
            _ => SentenceReader.Read(seen, prompt).Holds ? "true" : "false",
        };

        IEnumerable<SeenItem> Meant(string[] looks) => items.Where(item => looks.All(look => look.TrimEnd('s') is var one && (one == "item" || one == item.Colour || one == item.Shape)));

        static string Name(SeenItem item) => $"a {item.Colour} {item.Shape}";

        static string Listed(IEnumerable<string> parts, string otherwise) => string.Join(", ", parts.DefaultIfEmpty(otherwise));
    }

    [Fact]
    public void The_sample_in_the_repository_is_drawn_from_its_seed()
    {
        var picture = PngFile.Decode(File.ReadAllBytes(TestPaths.InRepository("samples", "boxes.png")), "boxes.png");
        Assert.Equal(SceneSample.Draw(18).Picture().Rgb, picture.Rgb);
        Assert.True(SentenceReader.Read(new SeenScene(picture), "There is a red circle.").Holds);
    }

    private static string Write(TemporaryFolder folder, ulong seed)
    {
        using var report = new StringWriter();
        new SceneFiles(seed, report).Write(folder.Path, folder.Path, records: 40, items: 20);
        return report.ToString();
    }
}

using DualSparse.Benchmarks.Scenes;
using DualSparse.Benchmarks.Scenes.Statements;
using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Scenes;

/// <summary>Sentences about drawn scenes are as true as they say, judged by the pixels of the file.</summary>
public class StatementTests
{
    [Fact]
    public void Truth_is_what_the_pixels_show()
    {
        var found = new HashSet<(int Form, bool Holds)>();
        for (int i = 0; i < 250; i++)
        {
            var random = new SceneRandom(5, SceneStream.Sample, i);
            var scene = new SceneGenerator(random).Draw();
            var seen = new SeenScene(PngFile.Decode(PngWriter.Write(scene.Picture()), "a.png"));
            foreach (var form in StatementForm.All)
            {
                for (int draw = 0; draw < 6; draw++)
                {
                    if (form.Draw(scene, random) is not { } statement)
                        continue;
                    var (holds, number) = SentenceReader.Read(seen, statement.Text);
                    Assert.True(holds == statement.IsTrue, $"scene {i}: {statement.Text} {statement.IsTrue}");
                    found.Add((number, holds));
                }
            }
        }

        // Each form was met, true and false.
        Assert.Equal(2 * SentenceReader.Forms, found.Count);
    }

    [Fact]
    public void Items_touch_or_are_clearly_apart()
    {
        int touching = 0;
        for (int i = 0; i < 250; i++)
        {
            var seen = new SeenScene(new SceneGenerator(new SceneRandom(6, SceneStream.Sample, i)).Draw().Picture());
            Assert.InRange(seen.Items.Count, SceneGenerator.FewestItems, SceneGenerator.MostItems);
            foreach (var item in seen.Items)
            {
                int[] walls = [item.Left - 48 * item.Box, 48 * item.Box + 31 - item.Right, item.Top, 31 - item.Bottom];
                bool alone = !seen.Items.Any(other => other != item && item.Touches(other));
                Assert.All(walls, gap => Assert.True(gap is 0 || gap >= (alone ? SceneGenerator.Apart : 1), $"scene {i}: {gap} pixels from a wall"));
                foreach (var other in seen.Items.Where(other => other != item && other.Box == item.Box))
                {
                    bool touches = item.Touches(other);
                    // Of a tower's blocks and a pair's items nothing else is near.
                    Assert.True(touches || item.Gap(other) >= SceneGenerator.Apart, $"scene {i}: {item.Gap(other)} pixels between items");
                    touching += touches ? 1 : 0;
                }
            }
        }

        Assert.InRange(touching, 100, 1000);
    }

    [Fact]
    public void A_share_of_each_kind_is_given_to_its_forms()
    {
        foreach (var kind in Enum.GetValues<StatementKind>())
            Assert.Equal(1, StatementForm.All.Where(form => form.Kind == kind).Sum(form => form.Share), 1e-9);
    }

    [Fact]
    public void Shapes_are_told_apart_by_their_pixels()
    {
        foreach (int size in new[] { 6, 7 })
        {
            var masks = Enum.GetValues<ItemShape>().Select(shape => string.Concat(Enumerable.Range(0, size * size).Select(at => new SceneItem(0, 0, 0, size, shape, 0).Covers(at % size, at / size) ? '#' : '.'))).ToArray();
            foreach (var (one, other) in new[] { (0, 1), (0, 2), (1, 2) })
                Assert.InRange(masks[one].Zip(masks[other]).Count(pixel => pixel.First != pixel.Second), 12, size * size);
        }
    }
}

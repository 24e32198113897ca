using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>
/// Questions of which every word of the answer follows from the picture. A model learns to see from them: true and false alone tell it nothing for
/// thousands of steps.
/// </summary>
internal static class SceneQuestions
{
    private static readonly string[] s_boxes = ["left", "middle", "right"];

    private static readonly string[] s_numbers = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"];

    /// <summary>Some, and what all boxes hold, in any order.</summary>
    /// <param name="scene">The scene.</param>
    /// <param name="random">Decides of what is asked.</param>
    public static IEnumerable<Turn> Of(Scene scene, SceneRandom random)
    {
        return random.Shuffled(
        [
            Number(scene, Some()), Number(scene, Some()), Where(scene, Some()), Where(scene, Some()), Touching(scene, Some()), Shapes(scene, Subject.SomeColour(scene, random)),
            Colours(scene, Subject.SomeShape(scene, random)), Towers(scene), new Turn("The boxes hold", Holds(scene)),
        ]);

        Subject Some() => random.Chance(0.7) ? Subject.Of(random.Of(scene.Items), random, colour: 0.4, shape: 0.25) : Subject.Mixed(scene, random, colour: 0.4, shape: 0.25);
    }

    private static Turn Number(Scene scene, Subject subject) => new($"Number of {subject.Many}:", $" {s_numbers[subject.Count(scene)]}");

    private static Turn Where(Scene scene, Subject subject) =>
        new($"Boxes with a {subject.One}:", Listed(Enumerable.Range(0, Scene.Boxes).Where(box => scene.Items.Any(item => item.Box == box && subject.Meets(item))).Select(box => s_boxes[box]), "none"));

    private static Turn Shapes(Scene scene, ItemColour colour) =>
        new($"{colour} items:", Listed(InOrder(scene.Items.Where(item => item.Colour == colour)).Select(item => Subject.Name(item.Shape)), "none"));

    private static Turn Colours(Scene scene, ItemShape shape) =>
        new($"{shape}s:", Listed(InOrder(scene.Items.Where(item => item.Shape == shape)).Select(item => Subject.Name(item.Colour)), "none"));

    private static Turn Touching(Scene scene, Subject subject)
    {
        var mine = Enumerable.Range(0, scene.Items.Count).Where(i => subject.Meets(scene.Items[i])).ToArray();
        var touched = InOrder(Enumerable.Range(0, scene.Items.Count).Where(other => mine.Any(i => scene.Touch(i, other))).Select(i => scene.Items[i])).Select(Name);
        return new Turn($"A {subject.One} touches:", Listed((mine.Any(i => scene.Items[i].AtWall) ? new[] { "the wall" } : []).Concat(touched), "nothing"));
    }

    private static Turn Towers(Scene scene) => new("Towers:", Listed(
        scene.Towers.OrderBy(tower => tower[0].Box).Select(tower => $"{s_numbers[tower.Length]} blocks, {Subject.Name(tower[^1].Colour)} at the top, {Subject.Name(tower[0].Colour)} at the base"), "none"));

    private static string Holds(Scene scene) =>
        " " + string.Join("; ", Enumerable.Range(0, Scene.Boxes).Select(box => string.Join(", ", InOrder(scene.Items.Where(item => item.Box == box)).Select(Name).DefaultIfEmpty("nothing")))) + ".";

    // Box after box, and in each from top to bottom and from left to right.
    private static IEnumerable<SceneItem> InOrder(IEnumerable<SceneItem> items) => items.OrderBy(item => item.Box).ThenBy(item => item.Y).ThenBy(item => item.X);

    private static string Name(SceneItem item) => $"a {Subject.Name(item.Colour)} {Subject.Name(item.Shape)}";

    private static string Listed(IEnumerable<string> parts, string otherwise) => " " + string.Join(", ", parts.DefaultIfEmpty(otherwise));
}

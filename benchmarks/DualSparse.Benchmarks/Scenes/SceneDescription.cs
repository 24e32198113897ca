namespace DualSparse.Benchmarks.Scenes;

/// <summary>
/// All that a scene holds, in words: box after box, and in each from top to bottom and from left to right. Every word of it follows from the picture, so
/// that a model learns what it sees sooner than from answers of one word.
/// </summary>
internal static class SceneDescription
{
    /// <summary>What asks for it.</summary>
    public const string Prompt = "The boxes hold";

    /// <summary>The description, such as <c> a red circle, a blue square; nothing; a white square.</c></summary>
    public static string Of(Scene scene) => " " + string.Join("; ", Enumerable.Range(0, Scene.Boxes).Select(box =>
        string.Join(", ", scene.Items.Where(item => item.Box == box).OrderBy(item => item.Y).ThenBy(item => item.X).Select(Name).DefaultIfEmpty("nothing")))) + ".";

    private static string Name(SceneItem item) => $"a {item.Colour} {item.Shape}".ToLowerInvariant();
}

namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>Where items are: in which box, or left or right of another.</summary>
internal static class PositionStatement
{
    // How far apart two items' middles are if one is said to be left of the other.
    private const int ClearlyApart = 8;

    private static readonly string[] s_boxes = ["left", "middle", "right"];

    public static Statement? Draw(Scene scene, SceneRandom random) => random.Chance(0.7) ? InBox(scene, random) : Beside(scene, random);

    private static Statement InBox(Scene scene, SceneRandom random)
    {
        const double colour = 0.4, shape = 0.3;
        var item = random.Of(scene.Items);
        var subject = random.Chance(0.75) ? Subject.Of(item, random, colour, shape) : Subject.Mixed(scene, random, colour, shape);
        int box = random.Chance(0.5) ? item.Box : random.Below(Scene.Boxes);
        string text = random.Chance(0.5) ? $"There is a {subject.One} in the {s_boxes[box]} box." : $"The {s_boxes[box]} box contains a {subject.One}.";
        return new Statement(text, $"in {box} {subject}", scene.Items.Any(other => other.Box == box && subject.Meets(other)));
    }

    private static Statement? Beside(Scene scene, SceneRandom random)
    {
        SceneItem one = random.Of(scene.Items), other = random.Of(scene.Items);
        Subject first = new(one.Colour, one.Shape), second = new(other.Colour, other.Shape);
        int apart = 2 * one.Left + one.Size - (2 * other.Left + other.Size);
        if (first == second || first.Count(scene) > 1 || second.Count(scene) > 1 || Math.Abs(apart) < 2 * ClearlyApart)
            return null;
        bool left = random.Chance(0.5);
        return new Statement(
            $"The {first.One} is {(left ? "left" : "right")} of the {second.One}.", $"beside {string.Join(' ', new[] { first.One, second.One }.Order(StringComparer.Ordinal))}", left == apart < 0);
    }
}

namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>Where items are: in which box, or left or right of another.</summary>
internal static class PositionStatement
{
    // How far apart two items' middles are if one is said to be left of the other.
    private const int ClearlyApart = 8;

    private static readonly string[] s_boxes = ["left", "middle", "right"];

    /// <summary>Whether a box has such an item.</summary>
    public static Statement InBox(Scene scene, SceneRandom random)
    {
        const double colour = 0.4, shape = 0.3;
        var item = random.Of(scene.Items);
        var subject = random.Chance(0.75) ? Subject.Of(item, random, colour, shape) : Subject.Mixed(scene, random, colour, shape);
        int box = random.Chance(0.5) ? item.Box : random.Below(Scene.Boxes);
        string text = random.Chance(0.5) ? $"There is a {subject.One} in the {s_boxes[box]} box." : $"The {s_boxes[box]} box contains a {subject.One}.";
        return new Statement(text, $"in {box} {subject}", scene.Items.Any(other => other.Box == box && subject.Meets(other)));
    }

    /// <summary>Whether an item is left or right of another; each is the only one of its look.</summary>
    public static Statement? Beside(Scene scene, SceneRandom random)
    {
        double named = random.Within(0, 1);
        // Most pairs of a scene aren't clearly apart, or aren't the only ones of their look.
        for (int i = 0; i < 8; i++)
        {
            SceneItem one = random.Of(scene.Items), other = random.Of(scene.Items);
            Subject first = Look(one), second = Look(other);
            int apart = 2 * one.Left + one.Size - (2 * other.Left + other.Size);
            if (first == second || first.Count(scene) > 1 || second.Count(scene) > 1 || Math.Abs(apart) < 2 * ClearlyApart)
                continue;
            bool left = random.Chance(0.5);
            string topic = $"beside {string.Join(' ', new[] { first.One, second.One }.Order(StringComparer.Ordinal))}";
            return new Statement($"The {first.One} is {(left ? "left" : "right")} of the {second.One}.", topic, left == apart < 0);
        }

        return null;

        // Both by their colours, both by their shapes, or both by both.
        Subject Look(SceneItem item) => new(named is >= 0.65 and < 0.85 ? null : item.Colour, named < 0.65 ? null : item.Shape);
    }
}

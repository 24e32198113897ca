namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>What touches: items a wall, items one another, and the blocks of towers.</summary>
internal static class TouchingStatement
{
    private static readonly string[] s_heights = ["two", "three", "four"];

    /// <summary>Whether such an item touches a wall of its box.</summary>
    public static Statement Wall(Scene scene, SceneRandom random)
    {
        const double colour = 0.4, shape = 0.25;
        var subject = random.Chance(0.8) ? Subject.Of(random.Of(scene.Items), random, colour, shape) : Subject.Mixed(scene, random, colour, shape);
        string text = random.Chance(0.5) ? $"A {subject.One} touches the wall." : $"There is a {subject.One} touching the wall.";
        return new Statement(text, $"wall {subject}", scene.Items.Any(item => item.AtWall && subject.Meets(item)));
    }

    /// <summary>Whether such an item touches such another.</summary>
    public static Statement? Pair(Scene scene, SceneRandom random)
    {
        bool colours = random.Chance(0.5);
        int first = random.Below(scene.Items.Count), second = random.Below(scene.Items.Count);
        Subject one = Look(scene.Items[first]), other = Look(scene.Items[second]);
        bool any = false, said = false;
        for (int i = 0; i < scene.Items.Count; i++)
        {
            for (int j = 0; j < scene.Items.Count; j++)
            {
                any |= scene.Touch(i, j);
                said |= scene.Touch(i, j) && one.Meets(scene.Items[i]) && other.Meets(scene.Items[j]);
            }
        }

        // Where nothing touches there is little to learn.
        if (one == other || !any && random.Chance(0.9))
            return null;
        string topic = $"touch {string.Join(' ', new[] { one.One, other.One }.Order(StringComparer.Ordinal))}";
        return new Statement($"A {one.One} touches a {other.One}.", topic, said);

        Subject Look(SceneItem item) => colours ? new Subject(item.Colour, null) : new Subject(null, item.Shape);
    }

    /// <summary>How high a tower is, or which colour is at an end of it.</summary>
    public static Statement? Tower(Scene scene, SceneRandom random)
    {
        if (scene.Towers.Count == 0 && random.Chance(0.9))
            return null;
        if (random.Chance(0.5))
        {
            int height = random.Between(2, s_heights.Length + 1);
            string text = random.Chance(0.5) ? $"There is a tower with {s_heights[height - 2]} blocks." : $"A tower has {s_heights[height - 2]} blocks.";
            return new Statement(text, "height", scene.Towers.Any(tower => tower.Length == height));
        }

        bool top = random.Chance(0.5);
        var colour = Subject.SomeColour(scene, random);
        return new Statement(
            $"There is a tower with a {Subject.Name(colour)} block at the {(top ? "top" : "base")}.", $"tower {top} {colour}", scene.Towers.Any(tower => tower[top ? ^1 : 0].Colour == colour));
    }
}

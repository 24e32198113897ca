namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>Of which items there are more. Where there are as many, neither is true.</summary>
internal static class ComparisonStatement
{
    public static Statement? Draw(Scene scene, SceneRandom random)
    {
        bool colours = random.Chance(0.6);
        Subject one = Some(), other = Some();
        int first = one.Count(scene), second = other.Count(scene);
        // Equal numbers are the harder half of the false ones, but not all of them.
        if (one == other || first + second == 0 || first == second && random.Chance(0.5))
            return null;
        bool more = random.Chance(0.5);
        string word = more ? "more" : "fewer", text = colours && random.Chance(0.5)
            ? $"There are {word} {Subject.Name(one.Colour!.Value)} than {other.Many}."
            : $"There are {word} {one.Many} than {other.Many}.";
        return new Statement(text, $"more {string.Join(' ', new[] { one.Many, other.Many }.Order(StringComparer.Ordinal))}", more ? first > second : first < second);

        Subject Some() => colours ? new Subject(Subject.SomeColour(scene, random), null) : new Subject(null, Subject.SomeShape(scene, random));
    }
}

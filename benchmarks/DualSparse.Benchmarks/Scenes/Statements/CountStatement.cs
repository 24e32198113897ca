namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>How many such items there are. False ones are mostly off by one.</summary>
internal static class CountStatement
{
    // The most that is spoken of.
    private const int Most = 4;

    private static readonly string[] s_numbers = ["no", "one", "two", "three", "four"];

    public static Statement? Draw(Scene scene, SceneRandom random)
    {
        var subject = Subject.Mixed(scene, random, 0.55, 0.3);
        int count = subject.Count(scene), off = (random.Chance(0.8) ? 1 : 2) * (random.Chance(0.5) ? 1 : -1), said = random.Chance(0.5) ? count : count + off;
        if (said is < 1 or > Most)
            return null;
        bool one = said == 1, both = subject is { Colour: not null, Shape: not null };
        string text = both || random.Chance(0.5)
            ? one ? $"There is exactly one {subject.One}." : $"There are exactly {s_numbers[said]} {subject.Many}."
            : $"Exactly {s_numbers[said]} {(one ? "item is" : "items are")} {Predicate(subject, one)}.";
        return new Statement(text, $"count {subject}", said == count);
    }

    private static string Predicate(Subject subject, bool one) =>
        subject.Colour is { } colour ? Subject.Name(colour) : one ? $"a {subject.One}" : subject.Many;
}

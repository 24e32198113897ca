namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>Whether there is such an item. False ones name mostly a colour and a shape that are there, but not together.</summary>
internal static class ExistenceStatement
{
    public static Statement? Draw(Scene scene, SceneRandom random)
    {
        const double colour = 0.15, shape = 0.1;
        var subject = random.Chance(0.5) ? Subject.Of(random.Of(scene.Items), random, colour, shape) : Subject.Mixed(scene, random, colour, shape);
        string text = random.Chance(0.5) ? $"There is a {subject.One}." : $"The picture has a {subject.One}.";
        return new Statement(text, $"is {subject}", subject.Count(scene) > 0);
    }
}

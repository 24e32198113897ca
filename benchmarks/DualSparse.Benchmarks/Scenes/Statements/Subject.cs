namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>What a sentence speaks of: items of a colour, of a shape, or both.</summary>
/// <param name="Colour">Their colour; null: any.</param>
/// <param name="Shape">Their shape; null: any.</param>
internal readonly record struct Subject(ItemColour? Colour, ItemShape? Shape)
{
    /// <summary>In the singular: red circle, red item, circle.</summary>
    public string One => string.Join(' ', Words("item"));

    /// <summary>In the plural.</summary>
    public string Many => One + "s";

    /// <summary>What an item shows of itself.</summary>
    /// <param name="item">The item.</param>
    /// <param name="random">Decides of what is spoken.</param>
    /// <param name="colour">The share of cases in which only the colour is named.</param>
    /// <param name="shape">The share in which only the shape is.</param>
    public static Subject Of(SceneItem item, SceneRandom random, double colour, double shape)
    {
        double named = random.Within(0, 1);
        return new Subject(named >= colour && named < colour + shape ? null : item.Colour, named < colour ? null : item.Shape);
    }

    /// <summary>A subject made of two items' looks, or of looks that needn't be there: mostly what is there, but not together.</summary>
    public static Subject Mixed(Scene scene, SceneRandom random, double colour, double shape) =>
        Of(random.Of(scene.Items) with { Colour = SomeColour(scene, random), Shape = SomeShape(scene, random) }, random, colour, shape);

    /// <summary>A colour, mostly of the scene.</summary>
    public static ItemColour SomeColour(Scene scene, SceneRandom random) =>
        random.Chance(0.8) ? random.Of(scene.Items).Colour : random.Of(Enum.GetValues<ItemColour>());

    /// <summary>A shape, mostly of the scene.</summary>
    public static ItemShape SomeShape(Scene scene, SceneRandom random) =>
        random.Chance(0.8) ? random.Of(scene.Items).Shape : random.Of(Enum.GetValues<ItemShape>());

    /// <summary>Whether an item is meant.</summary>
    public bool Meets(SceneItem item) => (Colour is null || Colour == item.Colour) && (Shape is null || Shape == item.Shape);

    /// <summary>How many items of a scene are meant.</summary>
    public int Count(Scene scene)
    {
        int count = 0;
        foreach (var item in scene.Items)
            count += Meets(item) ? 1 : 0;
        return count;
    }

    private IEnumerable<string> Words(string any)
    {
        if (Colour is { } colour)
            yield return Name(colour);
        yield return Shape is { } shape ? Name(shape) : any;
    }

    /// <summary>A colour's or a shape's name.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => $"{value}".ToLowerInvariant();
}

namespace DualSparse.Benchmarks.Scenes;

/// <summary>
/// Draws a scene: single items, pairs that touch, towers. Items that aren't meant to touch are at least <see cref="Apart"/> pixels apart. They lie about
/// where a grid of 8 pixels has its cells, which is a vision token's size, so that a small model can learn to count them.
/// </summary>
/// <param name="random">Its random numbers.</param>
/// <param name="fewest">The fewest items.</param>
/// <param name="most">The most items.</param>
internal sealed class SceneGenerator(SceneRandom random, int fewest = SceneGenerator.FewestItems, int most = SceneGenerator.MostItems)
{
    /// <summary>The fewest and the most items of a scene.</summary>
    public const int FewestItems = 2, MostItems = 8;

    /// <summary>
    /// The least number of pixels between items that don't touch, and between single items and walls. Between a pair, which meets at the grid's line, and
    /// a wall there may be one.
    /// </summary>
    public const int Apart = 2;

    private const int Cell = 8, Cells = Scene.BoxSide / Cell, Tries = 30, SmallestItem = 6, LargestItem = 7, TallestTower = 4;

    private static readonly ItemColour[] s_colours = Enum.GetValues<ItemColour>();

    private static readonly ItemShape[] s_shapes = Enum.GetValues<ItemShape>();

    private readonly List<SceneItem> items = [];
    private readonly List<SceneItem[]> towers = [];

    // Few colours a scene, so that some occur more than once.
    private readonly ItemColour[] colours = random.Shuffled(s_colours)[..random.Between(2, 4)];
    private readonly ItemShape[] shapes = random.Shuffled(s_shapes)[..random.Between(2, 3)];

    /// <summary>A scene.</summary>
    public Scene Draw()
    {
        int count = random.Between(fewest, most);
        // Shares of scenes such that sentences about towers and about pairs find enough of both kinds.
        if (random.Chance(0.4))
        {
            foreach (int box in random.Shuffled(Enumerable.Range(0, Scene.Boxes))[..random.Between(1, 2)])
                AddTower(box, Math.Min(count - items.Count, random.Between(2, TallestTower)));
        }

        if (random.Chance(0.4) && count - items.Count >= 2)
            Repeat(AddPair);
        while (items.Count < count && Repeat(AddSingle))
        {
        }

        return new Scene([.. random.Shuffled(items)], towers, (byte)random.Between(0x78, 0x88), (byte)random.Between(0xC8, 0xDC));
    }

    private static bool Repeat(Func<bool> add)
    {
        for (int i = 0; i < Tries; i++)
        {
            if (add())
                return true;
        }

        return false;
    }

    private int Size() => random.Between(SmallestItem, LargestItem);

    private bool AddSingle()
    {
        int size = Size(), box = random.Below(Scene.Boxes), x = Place(size), y = Place(size), last = Scene.BoxSide - size;
        if (random.Chance(0.3))
            (x, y) = random.Below(4) switch { 0 => (0, y), 1 => (last, y), 2 => (x, 0), _ => (x, last) };
        return Add([new SceneItem(box, x, y, size, random.Of(shapes), random.Of(colours))]);
    }

    private bool AddPair()
    {
        int size = Size(), box = random.Below(Scene.Boxes), along = Cell * random.Between(1, Cells - 1) - size, across = Place(size);
        bool beside = random.Chance(0.5);
        var (first, second) = (random.Of(shapes), random.Of(shapes));
        // Two squares, one on the other, would be a tower.
        if (!beside && (first, second) == (ItemShape.Square, ItemShape.Square))
            return false;
        var pair = random.Shuffled(colours);
        SceneItem[] both = beside
            ? [new(box, along, across, size, first, pair[0]), new(box, along + size, across, size, second, pair[1])]
            : [new(box, across, along, size, first, pair[0]), new(box, across, along + size, size, second, pair[1])];
        // Some shapes don't meet even where their squares do.
        return new Scene(both, [], 0, 0).Touch(0, 1) && Add(both);
    }

    private void AddTower(int box, int height)
    {
        int size = Size(), x = Place(size);
        SceneItem[] tower = new SceneItem[Math.Max(0, height)];
        for (int i = 0; i < height; i++)
        {
            // Blocks of one colour would look like one block.
            var colour = random.Of([.. colours.Where(colour => i == 0 || colour != tower[i - 1].Colour)]);
            tower[i] = new SceneItem(box, x, Scene.BoxSide - (i + 1) * size, size, ItemShape.Square, colour);
        }

        if (height >= 2 && Add(tower))
            towers.Add(tower);
    }

    // A cell's first pixel and up to two more, away from the walls.
    private int Place(int size) => Math.Clamp(Cell * random.Below(Cells) + random.Between(0, 2), Apart, Scene.BoxSide - Apart - size);

    private bool Add(SceneItem[] added)
    {
        foreach (var item in added)
        {
            bool outside = item.X < 0 || item.Y < 0 || item.X + item.Size > Scene.BoxSide || item.Y + item.Size > Scene.BoxSide;
            if (outside || items.Any(other => other.Box == item.Box && other.Gap(item) < Apart))
                return false;
        }

        items.AddRange(added);
        return true;
    }
}

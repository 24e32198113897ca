using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Scenes;

/// <summary>What a picture of boxes shows, read from its pixels alone: patches of one colour, their outlines, where they stand.</summary>
internal sealed class SeenScene
{
    private static readonly Dictionary<(byte, byte, byte), string> s_colours = new()
    {
        [(0xE6, 0x19, 0x19)] = "red",
        [(0x00, 0xA0, 0x32)] = "green",
        [(0x00, 0x99, 0xFF)] = "blue",
        [(0xFF, 0xFF, 0x00)] = "yellow",
        [(0x00, 0x00, 0x00)] = "black",
        [(0xFF, 0xFF, 0xFF)] = "white",
    };

    public SeenScene(Pixels picture)
    {
        Assert.Equal((128, 32), (picture.Width, picture.Height));
        HashSet<(int X, int Y)> seen = [];
        List<SeenItem> items = [];
        for (int y = 0; y < picture.Height; y++)
        {
            for (int x = 0; x < picture.Width; x++)
            {
                if (ColourAt(x, y) is { } colour && !seen.Contains((x, y)))
                    items.Add(Item(Patch(x, y, colour, seen), colour));
            }
        }

        Items = items;
        Towers = [.. items.Where(item => item is { Shape: "square", Bottom: 31 }).Select(Stack).Where(tower => tower.Length > 1)];

        string? ColourAt(int x, int y)
        {
            var rgb = picture.Rgb.AsSpan(3 * (y * picture.Width + x), 3);
            if (s_colours.TryGetValue((rgb[0], rgb[1], rgb[2]), out string? colour))
                return colour;
            // Between items there is grey, that of boxes brighter than that around them.
            bool inBox = x % 48 < 32;
            Assert.True(rgb[0] == rgb[1] && rgb[1] == rgb[2] && (inBox ? rgb[0] is >= 0xC8 and <= 0xDC : rgb[0] is >= 0x78 and <= 0x88), $"({x}, {y}) has a colour of no item");
            return null;
        }

        HashSet<(int X, int Y)> Patch(int x, int y, string colour, HashSet<(int X, int Y)> seen)
        {
            HashSet<(int X, int Y)> patch = [];
            var next = new Queue<(int X, int Y)>([(x, y)]);
            while (next.TryDequeue(out var at))
            {
                if (at.X is < 0 or > 127 || at.Y is < 0 or > 31 || ColourAt(at.X, at.Y) != colour || !seen.Add(at))
                    continue;
                patch.Add(at);
                foreach (var (across, down) in new[] { (1, 0), (-1, 0), (0, 1), (0, -1) })
                    next.Enqueue((at.X + across, at.Y + down));
            }

            return patch;
        }
    }

    public IReadOnlyList<SeenItem> Items { get; }

    /// <summary>Squares, each on the one before, the first on the floor.</summary>
    public IReadOnlyList<SeenItem[]> Towers { get; }

    private static SeenItem Item(HashSet<(int X, int Y)> pixels, string colour)
    {
        int left = pixels.Min(p => p.X), width = pixels.Max(p => p.X) - left + 1, top = pixels.Min(p => p.Y), height = pixels.Max(p => p.Y) - top + 1;
        Assert.Equal(width, height);
        Assert.InRange(width, 6, 7);
        int first = pixels.Count(p => p.Y == top), last = pixels.Count(p => p.Y == top + height - 1);
        // A square is full, a triangle stands on its whole width, a circle is as wide at its top as below.
        string shape = pixels.Count == width * height ? "square" : last == width && first < width ? "triangle" : first == last ? "circle" : "";
        Assert.NotEmpty(shape);
        return new SeenItem(colour, shape, left / 48, pixels);
    }

    private SeenItem[] Stack(SeenItem floor)
    {
        List<SeenItem> stack = [floor];
        while (Items.FirstOrDefault(item => item.Shape == "square" && item.Left == floor.Left && item.Right == floor.Right && item.Bottom == stack[^1].Top - 1) is { } next)
            stack.Add(next);
        return [.. stack];
    }
}

using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>Three grey boxes with items in them, as nlvr has them, and the picture of it.</summary>
internal sealed class Scene
{
    /// <summary>The picture's size; a box is as high as it.</summary>
    public const int Width = 128, Height = 32;

    /// <summary>A box's width and height, and from one box's first column to the next one's.</summary>
    public const int BoxSide = 32, BoxStep = 48;

    /// <summary>How many boxes there are.</summary>
    public const int Boxes = 3;

    private const int Nothing = -1;

    private readonly byte ground, box;
    private readonly bool[,] touches;

    // Which item each pixel shows.
    private readonly int[] owners = new int[Width * Height];

    /// <summary>Draws items.</summary>
    /// <param name="items">The items; they don't overlap.</param>
    /// <param name="towers">The items of each tower, from its base.</param>
    /// <param name="ground">How bright the ground between boxes is.</param>
    /// <param name="box">How bright the boxes are.</param>
    public Scene(IReadOnlyList<SceneItem> items, IReadOnlyList<SceneItem[]> towers, byte ground, byte box)
    {
        (Items, Towers, this.ground, this.box) = (items, towers, ground, box);
        Array.Fill(owners, Nothing);
        for (int i = 0; i < items.Count; i++)
        {
            var item = items[i];
            for (int pixel = 0; pixel < item.Size * item.Size; pixel++)
            {
                if (item.Covers(pixel % item.Size, pixel / item.Size))
                    owners[(item.Y + pixel / item.Size) * Width + item.Left + pixel % item.Size] = i;
            }
        }

        touches = new bool[items.Count, items.Count];
        for (int at = 0; at < owners.Length; at++)
        {
            if (at % Width > 0)
                Meet(owners[at], owners[at - 1]);
            if (at >= Width)
                Meet(owners[at], owners[at - Width]);
        }

        void Meet(int one, int other)
        {
            if (one != other && one != Nothing && other != Nothing)
                touches[one, other] = touches[other, one] = true;
        }
    }

    /// <summary>Its items.</summary>
    public IReadOnlyList<SceneItem> Items { get; }

    /// <summary>The items of each tower, from its base.</summary>
    public IReadOnlyList<SceneItem[]> Towers { get; }

    /// <summary>Its items, whatever their order: scenes of one layout have one picture, but for the greys.</summary>
    public string Layout => string.Join(';', Items.Select(item => $"{item}").Order(StringComparer.Ordinal));

    /// <summary>Whether a pixel of one item is beside, above or below one of another.</summary>
    public bool Touch(int one, int other) => touches[one, other];

    /// <summary>Its picture.</summary>
    public Pixels Picture()
    {
        byte[] rgb = new byte[3 * owners.Length];
        for (int at = 0; at < owners.Length; at++)
        {
            int x = at % Width;
            byte grey = x % BoxStep < BoxSide && x / BoxStep < Boxes ? box : ground;
            var (red, green, blue) = owners[at] == Nothing ? (grey, grey, grey) : Colour(Items[owners[at]].Colour);
            (rgb[3 * at], rgb[3 * at + 1], rgb[3 * at + 2]) = (red, green, blue);
        }

        return new Pixels(Width, Height, rgb);
    }

    /// <summary>A colour; yellow, blue and black are nlvr's.</summary>
    public static (byte Red, byte Green, byte Blue) Colour(ItemColour colour) => colour switch
    {
        ItemColour.Red => (0xE6, 0x19, 0x19),
        ItemColour.Green => (0x00, 0xA0, 0x32),
        ItemColour.Blue => (0x00, 0x99, 0xFF),
        ItemColour.Yellow => (0xFF, 0xFF, 0x00),
        ItemColour.Black => (0x00, 0x00, 0x00),
        _ => (0xFF, 0xFF, 0xFF),
    };
}

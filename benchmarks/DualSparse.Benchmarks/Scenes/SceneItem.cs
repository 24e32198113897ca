namespace DualSparse.Benchmarks.Scenes;

/// <summary>What an item may look like.</summary>
internal enum ItemShape
{
    Circle,
    Square,
    Triangle,
}

/// <summary>The colours of items.</summary>
internal enum ItemColour
{
    Red,
    Green,
    Blue,
    Yellow,
    Black,
    White,
}

/// <summary>An item of a scene.</summary>
/// <param name="Box">Its box: 0 left, 1 in the middle, 2 right.</param>
/// <param name="X">Its first column, counted from its box's.</param>
/// <param name="Y">Its first row.</param>
/// <param name="Size">Its width and height in pixels.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Colour">Its colour.</param>
internal readonly record struct SceneItem(int Box, int X, int Y, int Size, ItemShape Shape, ItemColour Colour)
{
    /// <summary>Whether it touches a wall of its box: no pixel is between.</summary>
    public bool AtWall => X == 0 || Y == 0 || X + Size == Scene.BoxSide || Y + Size == Scene.BoxSide;

    /// <summary>Its first column in the picture.</summary>
    public int Left => Box * Scene.BoxStep + X;

    /// <summary>The pixels between two items of one box, counted along the axis in which they lie further apart; below 0: they overlap.</summary>
    public int Gap(SceneItem other)
    {
        int across = Math.Max(other.X - (X + Size), X - (other.X + other.Size)), down = Math.Max(other.Y - (Y + Size), Y - (other.Y + other.Size));
        return Math.Max(across, down);
    }

    /// <summary>Whether it covers a pixel.</summary>
    /// <param name="column">From 0 to Size − 1.</param>
    /// <param name="row">From 0 to Size − 1.</param>
    public bool Covers(int column, int row)
    {
        double across = column + 0.5 - Size / 2.0, down = row + 0.5 - Size / 2.0;
        return Shape switch
        {
            // A fifth of a pixel less than the half of its width: at 6 pixels a full circle would lack no more than a square's corners.
            ItemShape.Circle => across * across + down * down <= (Size / 2.0 - 0.2) * (Size / 2.0 - 0.2),
            ItemShape.Triangle => Math.Abs(across) <= (row + 1) / 2.0,
            _ => true,
        };
    }
}

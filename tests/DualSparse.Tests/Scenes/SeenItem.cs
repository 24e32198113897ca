namespace DualSparse.Tests.Scenes;

/// <summary>An item as its pixels show it.</summary>
/// <param name="Colour">The name of its colour.</param>
/// <param name="Shape">The name of its shape.</param>
/// <param name="Box">0 left, 1 in the middle, 2 right.</param>
/// <param name="Pixels">Its pixels.</param>
internal sealed record SeenItem(string Colour, string Shape, int Box, IReadOnlySet<(int X, int Y)> Pixels)
{
    public int Left => Pixels.Min(pixel => pixel.X);

    public int Right => Pixels.Max(pixel => pixel.X);

    public int Top => Pixels.Min(pixel => pixel.Y);

    public int Bottom => Pixels.Max(pixel => pixel.Y);

    /// <summary>Whether it reaches the first or last row or column of its box.</summary>
    public bool AtWall => Left == 48 * Box || Right == 48 * Box + 31 || Top == 0 || Bottom == 31;

    public bool Touches(SeenItem other) =>
        Pixels.Any(pixel => other.Pixels.Contains((pixel.X + 1, pixel.Y)) || other.Pixels.Contains((pixel.X - 1, pixel.Y)) || other.Pixels.Contains((pixel.X, pixel.Y + 1)) || other.Pixels.Contains((pixel.X, pixel.Y - 1)));

    /// <summary>The least number of pixels between two items, along the axis in which they lie further apart.</summary>
    public int Gap(SeenItem other) =>
        Math.Max(Math.Max(Left - other.Right, other.Left - Right), Math.Max(Top - other.Bottom, other.Top - Bottom)) - 1;
}

namespace DualSparse.Models.Pictures;

/// <summary>How many patches a picture has.</summary>
/// <param name="Frames">In time: 1 for a picture that stands still.</param>
/// <param name="Rows">From top to bottom.</param>
/// <param name="Columns">From left to right.</param>
internal readonly record struct PatchGrid(int Frames, int Rows, int Columns)
{
    /// <summary>All patches.</summary>
    public int Count => checked(Frames * Rows * Columns);

    /// <summary>The rows of the text model that they become.</summary>
    /// <param name="merge">Patches along the side of a square that becomes one.</param>
    public int Tokens(int merge) => Count / (merge * merge);

    /// <summary>Row and column of a frame's patch: squares that are merged follow one another, row by row, and so do the patches in each.</summary>
    /// <param name="patch">Which.</param>
    /// <param name="merge">As for <see cref="Tokens"/>.</param>
    public (int Row, int Column) Place(int patch, int merge)
    {
        var (square, inner) = Math.DivRem(patch, merge * merge);
        int across = Columns / merge;
        return (square / across * merge + inner / merge, square % across * merge + inner % merge);
    }
}

namespace DualSparse.Models.Pictures;

/// <summary>A picture as a vision tower reads it.</summary>
/// <param name="Grid">How many patches.</param>
/// <param name="Values">
/// [patches, channels · frames · side · side] f32: their colours, normalised, in the order of <see cref="PatchGrid.Place"/>; within a patch a colour
/// after another.
/// </param>
/// <param name="Name">What messages call the picture.</param>
internal sealed record PicturePatches(PatchGrid Grid, float[] Values, string Name = "the picture")
{
    private readonly Lazy<PictureDigest> digest = new(() => PictureDigest.Of(Grid, Values));

    /// <summary>What they are told by: the same patches have the same.</summary>
    public PictureDigest Digest => digest.Value;

    /// <summary>Checks them against a model.</summary>
    /// <exception cref="ArgumentException">The grid isn't one still picture's, or can't be merged, or the values are too many or too few.</exception>
    public void Require(VisionConfig vision)
    {
        var (frames, rows, columns) = Grid;
        if (frames != 1)
            throw new ArgumentException($"a picture has {frames} frames, expected 1: films aren't implemented");
        if (rows < 1 || columns < 1 || rows % vision.Merge != 0 || columns % vision.Merge != 0)
            throw new ArgumentException($"a picture has {rows} × {columns} patches, expected multiples of {vision.Merge}, the patches along the side of a square that becomes one token");
        if (Values.LongLength != (long)rows * columns * vision.PatchValues)
            throw new ArgumentException($"a picture of {rows} × {columns} patches has {Values.LongLength} values, expected {vision.PatchValues} a patch");
    }
}

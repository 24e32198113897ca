namespace DualSparse.Models.Pictures;

/// <summary>The size at which a model reads a picture: its own, rounded to whole squares of patches, within limits on the number of pixels. Pure.</summary>
internal static class PictureSize
{
    // As the implementations that models are trained with have it.
    private const int MostElongated = 200;

    /// <summary>The size.</summary>
    /// <param name="width">The picture's.</param>
    /// <param name="height">The picture's.</param>
    /// <param name="square">Pixels along a square that becomes one token.</param>
    /// <param name="least">Pixels at least.</param>
    /// <param name="most">Pixels at most.</param>
    /// <param name="name">What messages call the picture.</param>
    /// <exception cref="PictureException">It is too long for its width, or too wide for its height.</exception>
    public static (int Width, int Height) Of(int width, int height, int square, long least, long most, string name)
    {
        if (Math.Max(width, height) > (long)MostElongated * Math.Min(width, height))
            throw new PictureException($"{name}: the picture has {width} × {height} pixels, expected at most {MostElongated} times as many one way as the other");
        // Half of an even number of squares is rounded to even, as Python does.
        long wide = (long)Math.Round((double)width / square) * square, high = (long)Math.Round((double)height / square) * square;
        if (wide * high > most)
        {
            double larger = Math.Sqrt((double)width * height / most);
            (wide, high) = (Math.Max(square, (long)Math.Floor(width / larger / square) * square), Math.Max(square, (long)Math.Floor(height / larger / square) * square));
        }
        else if (wide * high < least)
        {
            double smaller = Math.Sqrt(least / ((double)width * height));
            (wide, high) = ((long)Math.Ceiling(width * smaller / square) * square, (long)Math.Ceiling(height * smaller / square) * square);
        }

        return (checked((int)wide), checked((int)high));
    }
}

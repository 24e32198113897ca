namespace DualSparse.Models.Pictures;

/// <summary>
/// Pictures in another size: across and then down, each result a sum of the pixels near it by a cubic (a = −½), which is as much wider as the picture
/// becomes smaller, so that nothing is left out. Rounded to bytes after each way, as Pillow does.
/// </summary>
internal static class Bicubic
{
    // Pixels to each side on which the cubic isn't 0.
    private const double Support = 2;

    /// <summary>The picture in a size; itself where it has that.</summary>
    public static Pixels Resize(Pixels picture, int width, int height)
    {
        var (oldWidth, oldHeight) = (picture.Width, picture.Height);
        byte[] rgb = picture.Rgb;
        if (width != oldWidth)
            rgb = Along(rgb, Weights(oldWidth, width), lines: oldHeight, lineStep: 3 * oldWidth, newLineStep: 3 * width, step: 3);
        if (height != oldHeight)
            rgb = Along(rgb, Weights(oldHeight, height), lines: width, lineStep: 3, newLineStep: 3, step: 3 * width);
        return new Pixels(width, height, rgb);
    }

    // Of each line, across or down: steps are in bytes.
    private static byte[] Along(byte[] from, (int First, float[] Shares)[] weights, int lines, int lineStep, int newLineStep, int step)
    {
        byte[] to = new byte[(long)lines * weights.Length * 3];
        for (int line = 0; line < lines; line++)
        {
            for (int i = 0; i < weights.Length; i++)
            {
                var (first, shares) = weights[i];
                float red = 0.5f, green = 0.5f, blue = 0.5f;
                int at = line * lineStep + first * step;
                foreach (float share in shares)
                {
                    red += share * from[at];
                    green += share * from[at + 1];
                    blue += share * from[at + 2];
                    at += step;
                }

                int target = line * newLineStep + i * step;
                (to[target], to[target + 1], to[target + 2]) = (Byte(red), Byte(green), Byte(blue));
            }
        }

        return to;

        static byte Byte(float value) => (byte)Math.Clamp(value, 0, 255);
    }

    // For each new pixel the first old one and what each counts.
    private static (int First, float[] Shares)[] Weights(int from, int to)
    {
        double scale = (double)from / to, wider = Math.Max(scale, 1), support = Support * wider;
        return
        [
            .. Enumerable.Range(0, to).Select(i =>
            {
                double centre = (i + 0.5) * scale;
                int first = Math.Max(0, (int)(centre - support + 0.5)), end = Math.Min(from, (int)(centre + support + 0.5));
                double[] shares = [.. Enumerable.Range(first, end - first).Select(pixel => Cubic((pixel - centre + 0.5) / wider))];
                double sum = shares.Sum();
                return (first, shares.Select(share => (float)(share / sum)).ToArray());
            }),
        ];
    }

    // Keys' cubic convolution (1981) with a = −½.
    private static double Cubic(double x)
    {
        x = Math.Abs(x);
        return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    }
}

using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>Other pictures of the same thing: moved, mirrored, larger or smaller, in slightly other colours.</summary>
internal static class EmojiAugmentation
{
    // Mirrored, these show something else.
    private static readonly string[] s_sided = ["left", "right", "leftwards", "rightwards", "leftward", "rightward", "clock", "indicator", "button", "arrow", "letters", "latin", "east", "west", "sign", "symbol", "keycap", "input", "time", "math"];

    /// <summary>One of them.</summary>
    public static Pixels Of(Emoji emoji, SceneRandom random)
    {
        bool mirrored = random.Chance(0.5) && !emoji.AllWords.Overlaps(s_sided);
        double scale = random.Within(0.9, 1.1), right = random.Within(-2, 2), down = random.Within(-2, 2), light = random.Within(0.85, 1.1);
        double[] tints = [random.Within(0.93, 1.07), random.Within(0.93, 1.07), random.Within(0.93, 1.07)];
        var picture = emoji.Picture;
        byte[] rgb = new byte[picture.Rgb.Length];
        for (int at = 0; at < rgb.Length; at++)
        {
            int channel = at % 3, x = at / 3 % Emoji.Side, y = at / 3 / Emoji.Side;
            double column = Source(x, right), row = Source(y, down);
            double colour = Between(mirrored ? Emoji.Side - 1 - column : column, row, channel);
            // White stays as it is: most of a picture is the white around it.
            rgb[at] = (byte)Math.Clamp(Math.Round(255 - (255 - colour) * (2 - light * tints[channel])), 0, 255);
        }

        return picture with { Rgb = rgb };

        double Source(int to, double moved) => (to - (Emoji.Side - 1) / 2.0 - moved) / scale + (Emoji.Side - 1) / 2.0;

        // Between the four pixels around a point.
        double Between(double column, double row, int channel)
        {
            int x = (int)Math.Floor(column), y = (int)Math.Floor(row);
            double across = column - x, along = row - y;
            return (1 - along) * ((1 - across) * At(x, y, channel) + across * At(x + 1, y, channel)) + along * ((1 - across) * At(x, y + 1, channel) + across * At(x + 1, y + 1, channel));
        }

        double At(int x, int y, int channel) => x is >= 0 and < Emoji.Side && y is >= 0 and < Emoji.Side ? picture.Rgb[3 * (y * Emoji.Side + x) + channel] : 255;
    }
}

namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>
/// The choice of who only compares pixels: the trained pictures are taken from the nearest on, by the sum of squared differences of colours; of the ten
/// labels those stay that share the most words with what is said of each, until one is left.
/// </summary>
internal static class EmojiNeighbour
{
    /// <summary>The label that is chosen.</summary>
    /// <param name="test">The picture and the labels.</param>
    /// <param name="training">What is known.</param>
    /// <param name="tags">Whether the labels' own tags are known too, which a model isn't told.</param>
    public static Emoji Choose(EmojiChoice test, IReadOnlyList<Emoji> training, bool tags)
    {
        IReadOnlyList<Emoji> left = test.Choices;
        foreach (var near in training.OrderBy(known => Distance(test.Shown, known)))
        {
            double[] shared = [.. left.Select(choice => Shared(tags ? choice.AllWords : choice.LabelWords, near.AllWords))];
            double most = shared.Max();
            left = [.. left.Where((_, i) => shared[i] == most)];
            if (left.Count == 1)
                break;
        }

        return left[0];
    }

    // Words of both over words of either (Jaccard).
    private static double Shared(IReadOnlySet<string> one, IReadOnlySet<string> other)
    {
        int both = one.Count(other.Contains);
        return both / (double)Math.Max(1, one.Count + other.Count - both);
    }

    private static long Distance(Emoji one, Emoji other)
    {
        long sum = 0;
        for (int i = 0; i < one.Picture.Rgb.Length; i++)
        {
            int difference = one.Picture.Rgb[i] - other.Picture.Rgb[i];
            sum += difference * difference;
        }

        return sum;
    }
}

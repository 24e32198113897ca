namespace DualSparse.Benchmarks.Scenes.Real;

/// <summary>A test: which of ten labels is a picture's.</summary>
/// <param name="Shown">What is shown.</param>
/// <param name="Choices">Ten held-out emoji, the one that is shown among them.</param>
internal sealed record EmojiChoice(Emoji Shown, IReadOnlyList<Emoji> Choices)
{
    /// <summary>How many emoji are held out.</summary>
    public const int HeldOut = 280;

    /// <summary>How many labels there are to choose from.</summary>
    public const int Labels = 10;

    /// <summary>Splits a set by a seed, and draws the other nine labels of each held-out picture among those held out: none of the ten was trained on.</summary>
    public static (IReadOnlyList<Emoji> Training, IReadOnlyList<EmojiChoice> Test) Split(IReadOnlyList<Emoji> all, ulong seed)
    {
        Emoji[] shuffled = new SceneRandom(seed, SceneStream.EmojiSplit, 0).Shuffled(all), held = shuffled[..HeldOut];
        return (shuffled[HeldOut..], [.. held.Select((shown, i) =>
        {
            var random = new SceneRandom(seed, SceneStream.EmojiChoices, i);
            return new EmojiChoice(shown, random.Shuffled([shown, .. random.Shuffled(held.Where(other => other != shown)).Take(Labels - 1)]));
        })]);
    }
}

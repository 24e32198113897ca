using DualSparse.Engine.Serving;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>What random numbers are for: each purpose has its own.</summary>
internal enum SceneStream
{
    Training,
    Test,
    TestOrder,
    Sample,
    Nlvr,
    EmojiSplit,
    EmojiChoices,
    EmojiTraining,
    Questions,
}

/// <summary>Random numbers by the seed, by what they are for, and by a number, so that each picture can be made alone; the same on every machine.</summary>
internal sealed class SceneRandom
{
    private SplitMix64 generator;

    /// <summary>The numbers of one stream.</summary>
    public SceneRandom(ulong seed, SceneStream stream, long index) => generator = SplitMix64.Stream(seed, (ulong)stream, index);

    /// <summary>A number from 0 to below <paramref name="limit"/>.</summary>
    public int Below(int limit) => (int)(generator.NextUnit() * limit);

    /// <summary>A number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public int Between(int least, int most) => least + Below(most - least + 1);

    /// <summary>A number in [<paramref name="least"/>, <paramref name="most"/>).</summary>
    public double Within(double least, double most) => least + generator.NextUnit() * (most - least);

    /// <summary>True in this share of cases.</summary>
    public bool Chance(double share) => generator.NextUnit() < share;

    /// <summary>One of a list.</summary>
    public T Of<T>(IReadOnlyList<T> list) => list[Below(list.Count)];

    /// <summary>A list in another order (Fisher and Yates).</summary>
    public T[] Shuffled<T>(IEnumerable<T> list)
    {
        T[] all = [.. list];
        for (int i = all.Length - 1; i > 0; i--)
        {
            int other = Below(i + 1);
            (all[i], all[other]) = (all[other], all[i]);
        }

        return all;
    }
}

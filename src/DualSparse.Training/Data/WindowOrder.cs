namespace DualSparse.Training.Data;

/// <summary>In which order a run reads its windows: each epoch all of them, in an order of its own that follows from the seed and the epoch alone.</summary>
/// <param name="windows">Windows of an epoch.</param>
/// <param name="seed">The run's seed.</param>
internal sealed class WindowOrder(int windows, ulong seed)
{
    private readonly int[] order = new int[windows];
    private long epoch = -1;

    /// <summary>The window that a run reads at a place, counted from its beginning.</summary>
    public int At(long place)
    {
        var (wanted, rest) = Math.DivRem(place, windows);
        if (wanted != epoch)
            Shuffle(wanted);
        return order[(int)rest];
    }

    // Fisher and Yates.
    private void Shuffle(long wanted)
    {
        for (int i = 0; i < order.Length; i++)
            order[i] = i;
        var random = RandomStream.Of(seed, RandomPurpose.WindowOrder, wanted);
        for (int i = order.Length - 1; i > 0; i--)
        {
            // The upper half of a product: as even as 64 bits allow.
            int other = (int)Math.BigMul(random.Next(), (ulong)i + 1, out _);
            (order[i], order[other]) = (order[other], order[i]);
        }

        epoch = wanted;
    }
}

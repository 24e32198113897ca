namespace DualSparse.Training.Data;

/// <summary>What a run reads: windows in its order, and those that are held out, which are others, or the last.</summary>
internal sealed class TrainingData
{
    private readonly IWindows text, heldOutText;
    private readonly WindowOrder order;
    private readonly int[] heldOut;

    /// <summary>Parts the windows.</summary>
    /// <param name="text">The windows to train on.</param>
    /// <param name="validation">The windows to measure on; null: the last ones of <paramref name="text"/>.</param>
    /// <param name="share">Of the windows of <paramref name="text"/>, the share that is held out where there are no others.</param>
    /// <param name="most">Windows that are measured on, at most; of more, some at even distances.</param>
    /// <param name="seed">The seed of the order.</param>
    public TrainingData(IWindows text, IWindows? validation, double share, int most, ulong seed)
    {
        (this.text, heldOutText) = (text, validation ?? text);
        int kept = validation is null ? (int)(text.Count * share) : 0;
        (Windows, int first, int there) = (text.Count - kept, validation is null ? text.Count - kept : 0, validation is null ? kept : validation.Count);
        int taken = Math.Min(there, most);
        heldOut = [.. Enumerable.Range(0, taken).Select(i => first + (int)((long)i * there / taken))];
        order = new WindowOrder(Windows, seed);
    }

    /// <summary>Windows of an epoch.</summary>
    public int Windows { get; }

    /// <summary>Windows that the held-out loss is measured on.</summary>
    public int HeldOutWindows => heldOut.Length;

    /// <summary>Windows in the run's order.</summary>
    /// <param name="place">How many windows the run has read before.</param>
    /// <param name="count">How many.</param>
    public WindowBatch Batch(long place, int count) => text.Batch([.. Enumerable.Range(0, count).Select(i => order.At(place + i))]);

    /// <summary>The windows that are held out, at most so many together.</summary>
    public IEnumerable<WindowBatch> HeldOut(int together) => heldOut.Chunk(together).Select(heldOutText.Batch);
}

namespace DualSparse.Training.Data;

/// <summary>
/// What a run reads: windows over a stream of ids, whatever documents they begin and end in. Window i predicts the ids iC + 1 to iC + C from
/// iC to iC + C − 1. Windows that are held out are another text's, or the stream's last.
/// </summary>
internal sealed class TrainingData
{
    private readonly TokenStream text, heldOutText;
    private readonly WindowOrder order;
    private readonly int context;
    private readonly int[] heldOut;

    /// <summary>Parts the windows.</summary>
    /// <param name="text">The ids to train on.</param>
    /// <param name="validation">The ids to measure on; null: the last windows of <paramref name="text"/>.</param>
    /// <param name="share">Of the windows of <paramref name="text"/>, the share that is held out where there is no other text.</param>
    /// <param name="most">Windows that are measured on, at most; of more, some at even distances.</param>
    /// <param name="context">C.</param>
    /// <param name="seed">The seed of the order.</param>
    /// <exception cref="ArgumentException">A text fills no window.</exception>
    public TrainingData(TokenStream text, TokenStream? validation, double share, int most, int context, ulong seed)
    {
        (this.text, this.context, heldOutText) = (text, context, validation ?? text);
        int all = Count(text, "text"), kept = validation is null ? (int)(all * share) : 0;
        (Windows, int first, int there) = (all - kept, validation is null ? all - kept : 0, validation is null ? kept : Count(validation, "held-out text"));
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
    public WindowBatch Batch(long place, int count) => Batch(text, [.. Enumerable.Range(0, count).Select(i => order.At(place + i))]);

    /// <summary>The windows that are held out, at most so many together.</summary>
    public IEnumerable<WindowBatch> HeldOut(int together) => heldOut.Chunk(together).Select(windows => Batch(heldOutText, windows));

    private WindowBatch Batch(TokenStream stream, int[] windows)
    {
        int[] ids = new int[context + 1], inputs = new int[windows.Length * context], targets = new int[windows.Length * context];
        for (int w = 0; w < windows.Length; w++)
        {
            stream.Copy((long)windows[w] * context, ids);
            ids.AsSpan(0, context).CopyTo(inputs.AsSpan(w * context));
            ids.AsSpan(1).CopyTo(targets.AsSpan(w * context));
        }

        return new WindowBatch(windows.Length, context, inputs, targets);
    }

    private int Count(TokenStream stream, string name)
    {
        string files = string.Join(", ", stream.Files.Select(file => file.Path));
        if (stream.Count == 0)
            throw new ArgumentException($"{files}: the {name} has no tokens");
        long windows = (stream.Count - 1) / context;
        return windows is > 0 and <= int.MaxValue
            ? (int)windows
            : throw new ArgumentException($"{files}: the {name} has {stream.Count} tokens, {(windows == 0 ? $"too few for a window of {context} and the one after it" : $"too many windows of {context}")}");
    }
}

namespace DualSparse.Training.Data;

/// <summary>
/// Windows over a stream of ids, whatever documents they begin and end in: window i predicts the ids iC + 1 to iC + C from iC to iC + C − 1.
/// </summary>
internal sealed class TextWindows : IWindows
{
    private readonly TokenStream stream;
    private readonly int context;

    /// <summary>Parts a stream.</summary>
    /// <param name="stream">The ids.</param>
    /// <param name="context">C.</param>
    /// <param name="name">What messages call the stream.</param>
    /// <exception cref="ArgumentException">It fills no window.</exception>
    public TextWindows(TokenStream stream, int context, string name)
    {
        (this.stream, this.context) = (stream, context);
        string files = string.Join(", ", stream.Files.Select(file => file.Path));
        if (stream.Count == 0)
            throw new ArgumentException($"{files}: the {name} has no tokens");
        long windows = (stream.Count - 1) / context;
        Count = windows is > 0 and <= int.MaxValue
            ? (int)windows
            : throw new ArgumentException($"{files}: the {name} has {stream.Count} tokens, {(windows == 0 ? $"too few for a window of {context} and the one after it" : $"too many windows of {context}")}");
    }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TextFileFacts> Files => stream.Files;

    /// <inheritdoc/>
    public WindowBatch Batch(int[] windows)
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
}

namespace DualSparse.Training.Data;

/// <summary>Windows that a run may read, by number.</summary>
internal interface IWindows
{
    /// <summary>How many there are.</summary>
    int Count { get; }

    /// <summary>The files they come from, in order.</summary>
    IReadOnlyList<TextFileFacts> Files { get; }

    /// <summary>Some of them together.</summary>
    /// <param name="windows">Which.</param>
    WindowBatch Batch(int[] windows);
}

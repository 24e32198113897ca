namespace DualSparse.Training;

/// <summary>Windows of tokens that are computed together, each a text of its own from position 0 on.</summary>
/// <param name="Windows">How many.</param>
/// <param name="Length">Tokens of each.</param>
/// <param name="Inputs">[windows · length] ids.</param>
/// <param name="Targets">[windows · length] the id to predict at each place; below 0: none.</param>
internal sealed record WindowBatch(int Windows, int Length, int[] Inputs, int[] Targets)
{
    /// <summary>Tokens of all windows.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Tokens => Windows * Length;

    /// <summary>Some of the windows.</summary>
    public WindowBatch Slice(int first, int count) => new(count, Length, Inputs[(first * Length)..((first + count) * Length)], Targets[(first * Length)..((first + count) * Length)]);
}

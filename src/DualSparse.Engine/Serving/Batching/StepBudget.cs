namespace DualSparse.Engine.Serving.Batching;

/// <summary>
/// How many prompt tokens a step takes beside the running texts' single tokens, so that it takes no longer than a given multiple of what those
/// take alone. Both times are measured as steps run.
/// </summary>
/// <param name="stretch">The multiple.</param>
/// <param name="mostRows">The most prompt tokens of a step.</param>
internal sealed class StepBudget(double stretch, int mostRows)
{
    // What a step takes where only prompts run: a newcomer waits half of it on average.
    private const double PromptSeconds = 0.25;

    // Rows of a tile, and so of the least prompt that is computed at full rate by any kernel.
    private const int RowsOfTile = 16;

    // The weight of the newest measurement: that of about the last ten.
    private const double Newest = 0.2;

    private readonly List<double> alone = []; // [single tokens] seconds; 0: not measured
    private double promptRow; // seconds of a prompt token where nothing else runs
    private double mixedRow; // and beside single tokens

    /// <summary>Prompt tokens for the next step.</summary>
    /// <param name="singles">Texts that take one token each.</param>
    public int PromptRows(int singles)
    {
        double row = singles > 0 && mixedRow > 0 ? mixedRow : promptRow;
        double seconds = singles == 0 ? PromptSeconds : (stretch - 1) * Alone(singles);
        if (seconds == 0 || row == 0)
            return Math.Min(mostRows, singles == 0 ? mostRows : RowsOfTile);
        int rows = (int)Math.Clamp(seconds / row, RowsOfTile, mostRows);
        return Math.Min(mostRows, rows / RowsOfTile * RowsOfTile);
    }

    /// <summary>Takes a step's time.</summary>
    public void Measured(int singles, int promptRows, double seconds)
    {
        if (promptRows == 0)
        {
            while (alone.Count <= singles)
                alone.Add(0);
            alone[singles] = Mean(alone[singles], seconds);
        }
        else if (singles == 0)
        {
            promptRow = Mean(promptRow, seconds / promptRows);
        }
        else if (Alone(singles) is > 0 and var without)
        {
            // A step may be faster than its single tokens were at another time; a row is never free.
            mixedRow = Mean(mixedRow, Math.Max(seconds - without, 0.05 * seconds) / promptRows);
        }
    }

    /// <summary>Seconds for prompt tokens where nothing else runs; 0: not measured.</summary>
    public double PromptTime(int tokens) => tokens * promptRow;

    // The nearest number of single tokens that has been measured, a smaller one rather than a larger.
    private double Alone(int singles)
    {
        for (int off = 0; off <= Math.Max(singles, alone.Count); off++)
        {
            if (singles - off is > 0 and var fewer && fewer < alone.Count && alone[fewer] > 0)
                return alone[fewer];
            if (singles + off < alone.Count && alone[singles + off] > 0)
                return alone[singles + off];
        }

        return 0;
    }

    private static double Mean(double mean, double value) => mean == 0 ? value : mean + Newest * (value - mean);
}

namespace DualSparse.Evaluation.Tasks;

/// <summary>One answer whose likelihood is scored: log p(<see cref="Continuation"/> | <see cref="Context"/>).</summary>
/// <param name="Context">The text before it; may be empty.</param>
/// <param name="Continuation">The text that is scored, including a leading space, if any.</param>
internal sealed record TaskCandidate(string Context, string Continuation)
{
    /// <summary>The divisor of acc_norm: the continuation's code points, without the leading space.</summary>
    public int Characters => Continuation.EnumerateRunes().Count() - (Continuation is [' ', ..] ? 1 : 0);
}

/// <summary>One row of a task: candidates, of which one is right.</summary>
/// <param name="Candidates">The candidates, at least one.</param>
/// <param name="Gold">Index of the right one.</param>
internal sealed record TaskItem(IReadOnlyList<TaskCandidate> Candidates, int Gold)
{
    /// <summary>Pictures, which stand before each candidate's text.</summary>
    public IReadOnlyList<TaskPicture> Pictures { get; init; } = [];
}

/// <summary>How an item's scores are judged right or wrong.</summary>
internal enum TaskJudgement
{
    /// <summary>The right candidate has the best score (the first of equals); acc_norm divides each score by its characters.</summary>
    BestChoice,

    /// <summary>The first candidate scores above the second; there is no acc_norm.</summary>
    BetterOfPair,

    /// <summary>Greedy decoding gives the only candidate; there is no acc_norm.</summary>
    GreedyMatch,
}

/// <summary>The rows of a task.</summary>
/// <param name="Name">The task.</param>
/// <param name="Judgement">How items are judged.</param>
/// <param name="Items">In the order of the file.</param>
internal sealed record TaskSet(string Name, TaskJudgement Judgement, IReadOnlyList<TaskItem> Items);

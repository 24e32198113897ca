namespace DualSparse.Evaluation.Tasks;

/// <summary>One item's outcome.</summary>
/// <param name="Scores">The score of each candidate.</param>
/// <param name="Right">Whether it is right by acc.</param>
/// <param name="RightNormalised">Whether it is right by acc_norm; null if the task has none.</param>
internal sealed record ItemResult(IReadOnlyList<CandidateScore> Scores, bool Right, bool? RightNormalised)
{
    /// <summary>Against the run that it is compared with, over the scored ids of the right candidate; nothing where there is none.</summary>
    public LossSums Loss { get; init; }
}

/// <summary>A task's outcome.</summary>
/// <param name="Task">Its name.</param>
/// <param name="Items">In the order of the rows.</param>
internal sealed record TaskResult(string Task, IReadOnlyList<ItemResult> Items)
{
    /// <summary>Items whose context was too long: the model saw its end only.</summary>
    public int Cut { get; init; }

    /// <summary>acc: the share of items that are right.</summary>
    public double Accuracy => Items.Average(i => i.Right ? 1.0 : 0.0);

    /// <summary>acc_norm: the share of items that are right by score / characters; null if the task has none.</summary>
    public double? NormalisedAccuracy => Items.Any(i => i.RightNormalised is null) ? null : Items.Average(i => i.RightNormalised == true ? 1.0 : 0.0);
}

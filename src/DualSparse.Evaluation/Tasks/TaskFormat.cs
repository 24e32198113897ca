namespace DualSparse.Evaluation.Tasks;

/// <summary>How a task's rows become candidates; one entry for each task.</summary>
/// <param name="Name">The task's name, which is its file's without the extension.</param>
/// <param name="Read">A row's item.</param>
internal sealed record TaskFormat(string Name, Func<TaskRow, TaskItem> Read)
{
    private const int Letters = 26;

    /// <summary>How an item is judged.</summary>
    public TaskJudgement Judgement { get; init; } = TaskJudgement.BestChoice;

    /// <summary>
    /// Whether a limit takes evenly spaced rows of the file, which lists one kind of row after another, rather than its first rows.
    /// </summary>
    public bool Spread { get; init; }

    /// <summary>Every task.</summary>
    public static IReadOnlyList<TaskFormat> All { get; } =
    [
        new("lambada", row => new([new(row.Text("context"), " " + row.Text("target"))], 0)) { Judgement = TaskJudgement.GreedyMatch },
        new("blimp", row => new([new("", row.Text("good")), new("", row.Text("bad"))], 0)) { Judgement = TaskJudgement.BetterOfPair, Spread = true },
        new("piqa", row => Choice(row, $"Question: {row.Text("query")}\nAnswer:")),
        new("sciq", row => Choice(row, $"Question: {row.Text("query")}\nAnswer:")),
        new("arc_easy", row => Choice(row, row.Text("query"))),
        new("arc_challenge", row => Choice(row, row.Text("query"))),
        new("openbookqa", row => Choice(row, row.Text("query"))),
        new("hellaswag", row => Choice(row, row.Text("query"))),
        new("winogrande", Winogrande),
        new("boolq", row => Choice(row, $"{row.Text("passage")}\nQuestion: {row.Text("question")}?\nAnswer:")),
        new("mmlu", Mmlu),
    ];

    /// <summary>A task of another name: queries with choices.</summary>
    public static TaskFormat Other(string name) => new(name, row => Choice(row, row.Text("query")));

    private static TaskItem Choice(TaskRow row, string context)
    {
        string[] choices = row.Choices();
        return new([.. choices.Select(choice => new TaskCandidate(context, " " + choice))], row.Gold(choices.Length));
    }

    // The choices fill the gap; what is scored is the text after it, the same for all.
    private static TaskItem Winogrande(TaskRow row)
    {
        var (before, after) = row.Sides("sentence", '_');
        string[] choices = row.Choices();
        return new([.. choices.Select(choice => new TaskCandidate(before + choice, after))], row.Gold(choices.Length));
    }

    private static TaskItem Mmlu(TaskRow row)
    {
        string[] choices = [.. row.Choices().Take(Letters)];
        char[] letters = [.. Enumerable.Range(0, choices.Length).Select(i => (char)('A' + i))];
        string subject = row.Text("subject").Replace('_', ' ');
        // The reference's scores are those of the question without the spaces around it, which some rows have.
        string context = $"The following are multiple choice questions (with answers) about {subject}.\n\n{row.Text("query").Trim()}\n"
            + string.Concat(choices.Select((choice, i) => $"{letters[i]}. {choice}\n")) + "Answer:";
        return new([.. letters.Select(letter => new TaskCandidate(context, $" {letter}"))], row.Gold(choices.Length));
    }
}

using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>Runs a model over tasks by the likelihood of each candidate; no text is generated.</summary>
internal static class TaskEvaluation
{
    /// <summary>The default context in ids, if the model's isn't shorter.</summary>
    public const int DefaultContext = 512;

    /// <summary>Scores a task's items.</summary>
    /// <param name="model">The model; it must not be used otherwise meanwhile.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="task">The rows.</param>
    /// <param name="context">The most ids of a sequence; of a longer one the last are kept. Null: <see cref="DefaultContext"/> or the model's longest.</param>
    /// <param name="drop">The drop; null: none.</param>
    /// <param name="progress">Receives the share of items done, from 0 to 1.</param>
    /// <param name="cancel">Checked between batches.</param>
    /// <exception cref="ArgumentException">
    /// The model has no id that opens a text, the context is out of its range, or a continuation is empty or longer than the context.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TaskResult Run(
        Transformer model, Tokenizer tokenizer, TaskSet task, int? context = null, TextDrop? drop = null, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        var encoder = new CandidateEncoder(tokenizer, model.Config, context ?? Math.Min(DefaultContext, model.Config.MaxPositions));
        var items = task.Items.Select(item => item.Candidates.Select(encoder.Encode).ToArray()).ToList();
        if (items.FindIndex(item => item.Any(c => c.First >= c.Ids.Length)) is >= 0 and var empty)
        {
            string text = task.Items[empty].Candidates[Array.FindIndex(items[empty], c => c.First >= c.Ids.Length)].Continuation;
            throw new ArgumentException($"{task.Name}: item {empty + 1} has the continuation \"{text}\", of which no id is left to score, expected at least one");
        }

        if (items.FindIndex(item => item.Any(c => c.First < 1)) is >= 0 and var tooLong)
        {
            var worst = items[tooLong].MinBy(c => c.First);
            throw new ArgumentException($"{task.Name}: item {tooLong + 1} has a continuation of {worst.Ids.Length - worst.First} tokens, more than a context of {worst.Ids.Length} holds after one token: its score would be a part's; take a larger context (--context)");
        }

        var scores = new LikelihoodScorer(model, drop).Score(items, done => progress?.Report((double)done / items.Count), cancel);
        return new TaskResult(task.Name, [.. task.Items.Select((item, i) => Judge(task.Judgement, item, scores[i]))]) { Cut = items.Count(item => item.Any(c => c.Lost > 0)) };
    }

    /// <summary>Judges an item by its candidates' scores.</summary>
    internal static ItemResult Judge(TaskJudgement judgement, TaskItem item, CandidateScore[] scores) => judgement switch
    {
        TaskJudgement.GreedyMatch => new(scores, scores[0].Greedy, null),
        TaskJudgement.BetterOfPair => new(scores, scores[0].LogLikelihood > scores[1].LogLikelihood, null),
        _ => new(
            scores,
            Best(scores.Select(s => s.LogLikelihood)) == item.Gold,
            Best(scores.Select((s, c) => s.LogLikelihood / Math.Max(1, item.Candidates[c].Characters))) == item.Gold),
    };

    // The first of equals.
    private static int Best(IEnumerable<double> scores) => scores.Select((score, i) => (score, i)).MaxBy(s => s.score).i;
}

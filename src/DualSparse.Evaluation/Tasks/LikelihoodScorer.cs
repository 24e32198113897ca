using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A candidate's score.</summary>
/// <param name="LogLikelihood">Σ log p of the scored ids, nats.</param>
/// <param name="Greedy">Whether each scored id was the most probable.</param>
internal readonly record struct CandidateScore(double LogLikelihood, bool Greedy);

/// <summary>
/// Scores candidates, many items at once. The ids that an item's candidates share are run once, into the item's cache; then each
/// candidate's own ids continue it: all items' first candidates together, then the second ones, ….
/// </summary>
/// <param name="model">
/// The model. It is batch-invariant, so scores don't depend on the other items of a pass. The exception are adaptive thresholds: a scorer's
/// items are then one text, and those of a batch start with the thresholds after the previous batches.
/// </param>
/// <param name="drop">The drop; null: none.</param>
internal sealed class LikelihoodScorer(Transformer model, TextDrop? drop = null)
{
    // A pass of this many tokens is bound by arithmetic; more would only take memory.
    private const int PassTokens = 2048;

    // Each item has a cache, of at least one page: for a model of 7 B parameters 32 MiB.
    private const int PassItems = 64;

    // 256 MiB.
    private const int PassLogits = 1 << 26;

    /// <summary>Scores items.</summary>
    /// <param name="items">The candidates of each item.</param>
    /// <param name="done">Receives the number of items done.</param>
    /// <param name="cancel">Checked between batches.</param>
    /// <returns>The scores of each item's candidates.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public CandidateScore[][] Score(IReadOnlyList<EncodedCandidate[]> items, Action<int> done, CancellationToken cancel)
    {
        var scores = new List<CandidateScore[]>(items.Count);
        List<Pending> batch = [];
        int shared = 0, own = 0, ownLimit = Math.Min(PassTokens, PassLogits / model.Config.VocabSize);
        foreach (var item in items)
        {
            var next = new Pending(item);
            bool full = batch.Count == PassItems || shared + next.Shared > PassTokens || own + next.LongestOwn > ownLimit;
            if (full && batch.Count > 0)
                Flush();
            batch.Add(next);
            shared += next.Shared;
            own += next.LongestOwn;
        }

        Flush();
        return [.. scores];

        void Flush()
        {
            cancel.ThrowIfCancellationRequested();
            Run(batch);
            scores.AddRange(batch.Select(p => p.Scores));
            done(scores.Count);
            batch.Clear();
            (shared, own) = (0, 0);
        }
    }

    private void Run(List<Pending> batch)
    {
        try
        {
            foreach (var item in batch)
            {
                item.Cache = model.NewCache(item.Capacity);
                item.Drop = drop?.Part();
            }

            RunShared([.. batch.Where(p => p.Shared > 0)]);
            for (int c = 0; c < batch.Max(p => p.Candidates.Length); c++)
                RunOwn([.. batch.Where(p => p.Own(c) > 0)], c);
            foreach (var item in batch)
                drop?.Join(item.Drop!);
        }
        finally
        {
            foreach (var item in batch)
                item.Cache?.Dispose();
        }
    }

    private void RunShared(List<Pending> items)
    {
        if (items.Count == 0)
            return;
        var logits = model.Forward([.. items.Select(p => new SequenceChunk(p.Cache!, p.Candidates[0].Ids.AsMemory(0, p.Shared), Drop: p.Drop))]);
        foreach (var item in items)
        {
            // The row after the shared ids predicts the first id of every candidate that is scored from there.
            for (int c = 0; c < item.Candidates.Length; c++)
                item.Add(c, item.Shared, logits[..model.Config.VocabSize]);
            logits = logits[model.Config.VocabSize..];
        }
    }

    private void RunOwn(List<Pending> items, int c)
    {
        if (items.Count == 0)
            return;
        foreach (var item in items)
        {
            item.Cache!.Truncate(item.Shared);
            item.Drop?.Truncate(item.Shared);
        }

        var logits = model.Forward([.. items.Select(p => new SequenceChunk(p.Cache!, p.Candidates[c].Ids.AsMemory(p.Shared, p.Own(c)), LogitRows.All, Drop: p.Drop))]);
        foreach (var item in items)
        {
            for (int t = 0; t < item.Own(c); t++)
            {
                item.Add(c, item.Shared + t + 1, logits[..model.Config.VocabSize]);
                logits = logits[model.Config.VocabSize..];
            }
        }
    }

    private sealed class Pending
    {
        public Pending(EncodedCandidate[] candidates)
        {
            Candidates = candidates;
            Scores = [.. candidates.Select(_ => new CandidateScore(0, true))];
            // The last id of a candidate is predicted but never read; the first scored one needs the row before it.
            Shared = candidates.Min(c => Math.Min(c.First, c.Ids.Length - 1));
            foreach (var candidate in candidates)
                Shared = candidate.Ids.AsSpan(0, Shared).CommonPrefixLength(candidates[0].Ids.AsSpan(0, Shared));
        }

        public EncodedCandidate[] Candidates { get; }

        public CandidateScore[] Scores { get; }

        /// <summary>The number of ids that all candidates begin with; no id before the last of them is followed by a scored id.</summary>
        public int Shared { get; }

        public int LongestOwn => Enumerable.Range(0, Candidates.Length).Max(Own);

        public int Capacity => Math.Max(1, Shared + LongestOwn);

        public KvCache? Cache { get; set; }

        public TextDrop? Drop { get; set; }

        /// <summary>The number of a candidate's ids that are read after the shared ones.</summary>
        public int Own(int c) => c < Candidates.Length ? Candidates[c].Ids.Length - 1 - Shared : 0;

        /// <summary>Adds the row that predicts a candidate's id at <paramref name="position"/>, if that id is scored.</summary>
        public void Add(int c, int position, ReadOnlySpan<float> row)
        {
            var (ids, first, _) = Candidates[c];
            if (position < first || position >= ids.Length)
                return;
            double score = row[ids[position]] - Distributions.LogSumExp(row);
            Scores[c] = new(Scores[c].LogLikelihood + score, Scores[c].Greedy && Distributions.Best(row) == ids[position]);
        }
    }
}

using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A candidate's score.</summary>
/// <param name="LogLikelihood">Σ log p of the scored ids, nats.</param>
/// <param name="Greedy">Whether each scored id was the most probable.</param>
internal readonly record struct CandidateScore(double LogLikelihood, bool Greedy);

/// <summary>An item as ids.</summary>
/// <param name="Candidates">Its candidates.</param>
/// <param name="Gold">The right one.</param>
/// <param name="Pictures">Pictures at the beginning that all candidates share; null: none.</param>
internal sealed record EncodedItem(EncodedCandidate[] Candidates, int Gold = 0, TextPictures? Pictures = null);

/// <summary>An item's scores.</summary>
/// <param name="Scores">Of each candidate.</param>
/// <param name="Loss">Against the first contender, over the scored ids of the right candidate; of the first itself nothing.</param>
internal sealed record ScoredItem(CandidateScore[] Scores, LossSums Loss);

/// <summary>A way to score: a model with what it leaves out.</summary>
/// <param name="Model">
/// The model. It is batch-invariant, so scores don't depend on the other items of a pass. The exceptions are balanced loads, and adaptive thresholds: a
/// contender's items are then one text, and those of a batch start with the thresholds after the previous batches.
/// </param>
/// <param name="Drop">The drop; null: none.</param>
/// <param name="Balanced">Whether loads are balanced where the model was loaded so.</param>
internal sealed record TaskContender(Transformer Model, TextDrop? Drop = null, bool Balanced = true)
{
    /// <summary>Observers of a pass over some chunks; null: there are none.</summary>
    public Func<IReadOnlyList<SequenceChunk>, PassWatch>? Watch { get; init; }

    /// <summary>Runs chunks.</summary>
    /// <returns>[rows, vocabulary], valid until the model's next pass.</returns>
    public ReadOnlySpan<float> Forward(SequenceChunk[] chunks) => Model.Forward(chunks, Watch?.Invoke(chunks));
}

/// <summary>
/// Scores candidates, many items at once. The ids that an item's candidates share are run once, into the item's cache; then each
/// candidate's own ids continue it: all items' first candidates together, then the second ones, ….
/// </summary>
/// <param name="contenders">Who scores, each the same batches in turn; with the same vocabulary.</param>
internal sealed class LikelihoodScorer(IReadOnlyList<TaskContender> contenders)
{
    // A pass of this many tokens is bound by arithmetic; more would only take memory.
    private const int PassTokens = 2048;

    // Each item has a cache, of at least one page: for a model of 7 B parameters 32 MiB.
    private const int PassItems = 64;

    // 256 MiB; and as much again is kept of the first contender's where there are others.
    private const int PassLogits = 1 << 26;

    private readonly int vocabulary = contenders[0].Model.Config.VocabSize;

    /// <summary>Scores items.</summary>
    /// <param name="items">The items, asked for one after another.</param>
    /// <param name="done">Receives the number of items done.</param>
    /// <param name="cancel">Checked between batches.</param>
    /// <returns>[contenders][items].</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public ScoredItem[][] Score(IEnumerable<EncodedItem> items, Action<int> done, CancellationToken cancel)
    {
        List<ScoredItem>[] scores = [.. contenders.Select(_ => new List<ScoredItem>())];
        List<Pending> batch = [];
        int shared = 0, own = 0, ownLimit = Math.Min(PassTokens, PassLogits / vocabulary);
        foreach (var item in items)
        {
            var next = new Pending(item, keepsRows: contenders.Count > 1);
            bool full = batch.Count == PassItems || shared + next.Shared > PassTokens || own + next.LongestOwn > ownLimit;
            if (full && batch.Count > 0)
                Flush();
            batch.Add(next);
            shared += next.Shared;
            own += next.LongestOwn;
        }

        if (batch.Count > 0)
            Flush();
        return [.. scores.Select(of => of.ToArray())];

        void Flush()
        {
            for (int i = 0; i < contenders.Count; i++)
            {
                cancel.ThrowIfCancellationRequested();
                batch.ForEach(item => item.Begin());
                Run(contenders[i], batch);
                scores[i].AddRange(batch.Select(item => item.End()));
            }

            done(scores[0].Count);
            batch.Clear();
            (shared, own) = (0, 0);
        }
    }

    private void Run(TaskContender contender, List<Pending> batch)
    {
        contender.Model.Balanced = contender.Balanced;
        try
        {
            foreach (var item in batch)
            {
                item.Cache = contender.Model.NewCache(item.Capacity);
                item.Drop = contender.Drop?.Part();
            }

            RunShared(contender, [.. batch.Where(p => p.Shared > 0)]);
            for (int c = 0; c < batch.Max(p => p.Candidates.Length); c++)
                RunOwn(contender, [.. batch.Where(p => p.Own(c) > 0)], c);
            foreach (var item in batch)
                contender.Drop?.Join(item.Drop!);
        }
        finally
        {
            foreach (var item in batch)
            {
                item.Cache?.Dispose();
                item.Cache = null;
            }
        }
    }

    private void RunShared(TaskContender contender, List<Pending> items)
    {
        if (items.Count == 0)
            return;
        var logits = contender.Forward([.. items.Select(p => p.Chunk(p.Candidates[0].Ids.AsMemory(0, p.Shared), LogitRows.Last))]);
        foreach (var item in items)
        {
            // The row after the shared ids predicts the first id of every candidate that is scored from there.
            for (int c = 0; c < item.Candidates.Length; c++)
                item.Add(c, item.Shared, logits[..vocabulary]);
            logits = logits[vocabulary..];
        }
    }

    private void RunOwn(TaskContender contender, List<Pending> items, int c)
    {
        if (items.Count == 0)
            return;
        foreach (var item in items)
        {
            item.Cache!.Truncate(item.Shared);
            item.Drop?.Truncate(item.Shared);
        }

        var logits = contender.Forward([.. items.Select(p => p.Chunk(p.Candidates[c].Ids.AsMemory(p.Shared, p.Own(c)), LogitRows.All))]);
        foreach (var item in items)
        {
            for (int t = 0; t < item.Own(c); t++)
            {
                item.Add(c, item.Shared + t + 1, logits[..vocabulary]);
                logits = logits[vocabulary..];
            }
        }
    }

    private sealed class Pending
    {
        private readonly EncodedItem item;

        // By position, the first contender's rows of the right candidate; null: nobody is compared with it.
        private readonly Dictionary<int, float[]>? rows;
        private CandidateScore[] scores = [];
        private LossSums loss;
        private bool isFirst = true;

        public Pending(EncodedItem item, bool keepsRows)
        {
            this.item = item;
            rows = keepsRows ? [] : null;
            // The last id of a candidate is predicted but never read; the first scored one needs the row before it.
            Shared = Candidates.Min(c => Math.Min(c.First, c.Ids.Length - 1));
            foreach (var candidate in Candidates)
                Shared = candidate.Ids.AsSpan(0, Shared).CommonPrefixLength(Candidates[0].Ids.AsSpan(0, Shared));
        }

        public EncodedCandidate[] Candidates => item.Candidates;

        /// <summary>The number of ids that all candidates begin with; no id before the last of them is followed by a scored id.</summary>
        public int Shared { get; }

        public int LongestOwn => Enumerable.Range(0, Candidates.Length).Max(Own);

        public int Capacity => Math.Max(1, Shared + LongestOwn);

        public KvCache? Cache { get; set; }

        public TextDrop? Drop { get; set; }

        /// <summary>The number of a candidate's ids that are read after the shared ones.</summary>
        public int Own(int c) => c < Candidates.Length ? Candidates[c].Ids.Length - 1 - Shared : 0;

        /// <summary>The next ids of the sequence.</summary>
        public SequenceChunk Chunk(ReadOnlyMemory<int> ids, LogitRows logits) => new(Cache!, ids, logits, Drop: Drop, Pictures: item.Pictures);

        /// <summary>Makes ready for a contender.</summary>
        public void Begin() => (scores, loss) = ([.. Candidates.Select(_ => new CandidateScore(0, true))], default);

        /// <summary>What a contender made of it.</summary>
        public ScoredItem End()
        {
            isFirst = false;
            return new ScoredItem(scores, loss);
        }

        /// <summary>Adds the row that predicts a candidate's id at <paramref name="position"/>, if that id is scored.</summary>
        public void Add(int c, int position, ReadOnlySpan<float> row)
        {
            var (ids, first, _) = Candidates[c];
            if (position < first || position >= ids.Length)
                return;
            double score = row[ids[position]] - Distributions.LogSumExp(row);
            scores[c] = new(scores[c].LogLikelihood + score, scores[c].Greedy && Distributions.Best(row) == ids[position]);
            if (rows is null || c != item.Gold)
                return;
            if (isFirst)
                rows.Add(position, row.ToArray());
            else
                loss += LossSums.Of(rows[position], row, [ids[position]], row.Length);
        }
    }
}

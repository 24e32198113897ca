using DualSparse.Engine.Vision;
using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>The texts that a scheduler has begun, oldest first: which of them take part in a step, and what becomes of them after it. One thread at a time.</summary>
internal sealed class RunningTexts : IDisposable
{
    // A prompt's least part beside others' parts: rows of a tile.
    private const int LeastRows = 16;

    private readonly MoeModel model;
    private readonly SchedulerOptions options;
    private readonly TextPages pages;
    private readonly List<Sequence> running = [];
    private readonly List<Sequence> resting = []; // have given their pages up
    private readonly List<Sequence> step = [];
    private readonly List<SequenceChunk> chunks = [];
    private readonly LogProbs logProbs;
    private SchedulerState counts = new();

    /// <summary>None.</summary>
    /// <exception cref="ArgumentException">There is no memory for one context.</exception>
    public RunningTexts(MoeModel model, SchedulerOptions options)
    {
        (this.model, this.options) = (model, options);
        pages = new TextPages(model, options);
        logProbs = new LogProbs(model.Config.VocabSize);
    }

    /// <summary>Tokens that a text's context can hold.</summary>
    public int ContextTokens => pages.ContextTokens;

    /// <summary>The most pages.</summary>
    public int PagesTotal => pages.Total;

    /// <summary>Whether there are none.</summary>
    public bool IsEmpty => running.Count + resting.Count == 0;

    /// <summary>What has been done so far, and what is there now.</summary>
    public SchedulerState State => counts with
    {
        Running = running.Count + resting.Count,
        PagesUsed = pages.Used,
        PagesKept = pages.Kept,
        PagesTotal = pages.Total,
    };

    /// <summary>Whether a request can begin now.</summary>
    public bool HasRoom(RequestStream stream) => IsEmpty
        || (running.Count + resting.Count + stream.Request.Choices <= options.MaxRunning && resting.Count == 0 && pages.HasRoom(stream, running));

    /// <summary>Begins a request.</summary>
    public void Add(RequestStream stream)
    {
        // Its other texts join when the prompt has been computed, where they can share it.
        for (int choice = 0; choice < (pages.CanFork ? 1 : stream.Request.Choices); choice++)
            running.Add(New(stream, choice));
        counts = counts with { PromptTokens = counts.PromptTokens + stream.Request.Prompt.Length };
        stream.Admit();
    }

    /// <summary>Frees the pages of texts whose requests have ended.</summary>
    public void RemoveEnded()
    {
        running.RemoveAll(Ended);
        resting.RemoveAll(Ended);

        // Asked once: a request may end meanwhile.
        static bool Ended(Sequence text)
        {
            if (!text.Stream.IsOver)
                return false;
            text.Dispose();
            return true;
        }
    }

    /// <summary>The next step's texts: all that take a single token, then parts of prompts, for which there are pages.</summary>
    /// <returns>None: there is nothing to do.</returns>
    public IReadOnlyList<SequenceChunk> Next(StepBudget budget)
    {
        Resume();
        do
        {
            step.Clear();
            chunks.Clear();
            int needed = TakeSingles();
            TakePrompts(budget, needed);
        }
        while (step.Count == 0 && running.Count > 1 && GiveUpYoungest());

        if (step.Count == 0 && running.Count == 1)
            running[0].Stream.Fail(new InsufficientMemoryException("there are no pages for the keys and values of the request, though it is the only one"));
        return chunks;
    }

    /// <summary>The requests of the step.</summary>
    public RequestStream[] StepStreams => [.. step.Select(text => text.Stream)];

    /// <summary>The step's pass has succeeded: tokens are chosen and handed over.</summary>
    /// <param name="logits">[rows, vocabulary] of the step's chunks.</param>
    public void Commit(ReadOnlySpan<float> logits)
    {
        counts = counts with { Steps = counts.Steps + 1 };
        int vocabulary = model.Config.VocabSize;
        for (int i = 0; i < step.Count; i++)
        {
            var own = logits[..(chunks[i].LogitRowCount * vocabulary)];
            logits = logits[own.Length..];
            if (step[i].Stream.IsOver)
                continue;
            try
            {
                Commit(step[i], chunks[i], own);
            }
            catch (InvalidOperationException e)
            {
                step[i].Stream.Fail(e);
            }
        }
    }

    /// <summary>The system had no memory for a page: the youngest text gives its own up, or, where it is alone, fails.</summary>
    public void Shrink(Exception why)
    {
        if (!GiveUpYoungest())
            running[0].Stream.Fail(why);
    }

    /// <summary>Ends all texts.</summary>
    /// <param name="why">What their readers get.</param>
    public void Fail(Exception why)
    {
        foreach (var text in running.Concat(resting))
            text.Stream.Fail(why);
        RemoveEnded();
    }

    /// <summary>Frees the pages; there are no texts any more.</summary>
    public void Dispose() => pages.Dispose();

    private Sequence New(RequestStream stream, int choice)
    {
        var text = new Sequence(model, stream, choice, ContextTokens, pages.NewCache);
        stream.Texts.Add(text);
        return text;
    }

    // Those that gave their pages up go on before others begin.
    private void Resume()
    {
        while (resting.Count > 0 && (running.Count == 0 || pages.Obtainable >= KvLayout.PageCount(resting[0].Ids.Length + 1) + running.Count))
        {
            running.Add(resting[0]);
            resting.RemoveAt(0);
        }
    }

    // Returns the pages that they need.
    private int TakeSingles()
    {
        while (true)
        {
            int needed = running.Where(text => text.IsSingle).Sum(text => text.Cache.MissingPages(1));
            if (!pages.MakeRoom(needed) && GiveUpYoungest())
                continue;
            foreach (var text in running.Where(text => text.IsSingle))
                Take(text, 1);
            return needed;
        }
    }

    // Oldest first; at most half to one prompt while others wait.
    private void TakePrompts(StepBudget budget, int needed)
    {
        int rows = budget.PromptRows(step.Count);
        Sequence[] prompts = [.. running.Where(text => !text.IsSingle)];
        for (int i = 0; i < prompts.Length && rows > 0; i++)
        {
            var text = prompts[i];
            if (!SeesPictures(text.Stream))
                continue;
            Begin(text);
            int share = i == prompts.Length - 1 ? rows : Math.Min(rows, Math.Max(LeastRows, rows / 2));
            int count = Math.Min(share, text.Ids.Length - text.Cache.Length);
            int missing = text.Cache.MissingPages(count);
            if (!pages.MakeRoom(needed + missing))
                break;
            needed += missing;
            rows -= Take(text, count);
        }
    }

    // A request's pictures go through the tower when its prompt's turn comes; what fails is the request's own.
    private bool SeesPictures(RequestStream stream)
    {
        try
        {
            // Asked at every step of a prompt: most have none, and nothing to copy for.
            if (stream.Request.Pictures.Count > 0)
                stream.Pictures ??= model.Place(new PicturePrompt(stream.Request.Prompt.ToArray(), stream.Request.Pictures));
            return true;
        }
        catch (Exception e) when (e is ArgumentException or InsufficientMemoryException or OutOfMemoryException)
        {
            stream.Fail(e);
            return false;
        }
    }

    private void Begin(Sequence text)
    {
        int cached = pages.Begin(text);
        // What a text computes again had been its own work.
        if (text.Choice > 0 || text.WasResting)
            return;
        text.Stream.CachedTokens += cached;
        counts = counts with { CachedTokens = counts.CachedTokens + cached };
    }

    private int Take(Sequence text, int most)
    {
        var chunk = text.Next(most);
        step.Add(text);
        chunks.Add(chunk);
        return chunk.Ids.Length;
    }

    private bool GiveUpYoungest()
    {
        if (running.Count < 2)
            return false;
        var youngest = running[^1];
        pages.Publish(youngest);
        youngest.GiveUp();
        running.RemoveAt(running.Count - 1);
        resting.Insert(0, youngest);
        counts = counts with { Preempted = counts.Preempted + 1 };
        return true;
    }

    private void Commit(Sequence text, SequenceChunk chunk, ReadOnlySpan<float> logits)
    {
        if (chunk.Logits == LogitRows.All)
            AddPromptLogProbs(text, chunk.Ids.Length, logits);
        if (text.Cache.Length < text.Ids.Length)
            return;
        bool promptDone = text.Writer.Count == 0 && text.Stream.Texts.Count == 1;
        if (promptDone)
            pages.Publish(text);
        // None where no token is wanted.
        var last = logits.IsEmpty ? logits : logits[^model.Config.VocabSize..];
        for (int choice = 1; promptDone && pages.CanFork && choice < text.Stream.Request.Choices; choice++)
            Fork(text, choice, last);
        Choose(text, last);
    }

    // Another text of the same prompt, whose logits are those of the first.
    private void Fork(Sequence first, int choice, ReadOnlySpan<float> logits)
    {
        var text = New(first.Stream, choice);
        if (!pages.MakeRoom(1))
        {
            resting.Add(text);
            return;
        }

        text.Adopt(first.Computed(first.PromptTokens));
        running.Add(text);
        Choose(text, logits);
    }

    private void Choose(Sequence text, ReadOnlySpan<float> logits)
    {
        var stream = text.Stream;
        if (text.Writer.Finish is null)
        {
            int id = text.Sampler.Next(logits, text.Ids);
            (float? Own, IReadOnlyList<TokenLogProb> Best) known = stream.Options.LogProbs is { } most ? logProbs.Of(logits, id, most) : (null, []);
            text.Append(id);
            var token = text.Writer.Write(id, known.Own, known.Best);
            counts = counts with { GeneratedTokens = counts.GeneratedTokens + 1 };
            if (token.Finish is not null)
                stream.Open--;
            stream.Report(first: stream.Texts.Sum(t => t.Writer.Count) == 1);
            stream.Write(text.Choice, token);
        }
        else
        {
            stream.Open--;
            stream.Report(first: true);
        }

        if (text.Writer.Finish is null)
            return;
        pages.Publish(text);
        text.Dispose();
        running.Remove(text);
        if (stream.Open == 0)
            stream.Complete();
    }

    private void AddPromptLogProbs(Sequence text, int count, ReadOnlySpan<float> logits)
    {
        int vocabulary = model.Config.VocabSize, first = text.Cache.Length - count;
        var stream = text.Stream;
        if (first == 0)
            stream.Add(new PromptToken(text.Ids[0], null, []));
        for (int row = 0; row < count && first + row + 1 < text.PromptTokens; row++)
        {
            int id = text.Ids[first + row + 1];
            var (own, best) = logProbs.Of(logits.Slice(row * vocabulary, vocabulary), id, stream.Request.PromptLogProbs!.Value);
            stream.Add(new PromptToken(id, own, best));
        }
    }
}

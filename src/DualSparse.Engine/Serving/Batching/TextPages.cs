using DualSparse.Engine.Loading;
using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>The pages of all texts of a scheduler: how many there are, who gets them, and what is kept for texts to come.</summary>
internal sealed class TextPages : IDisposable
{
    // Tokens of an answer for which a text needs pages before it begins; for a longer one there are some later, or the youngest gives its own up.
    private const int AnswerAhead = 256;

    private readonly MoeModel model;
    private readonly PagePool pool;
    private readonly PrefixCache prefixes;
    private readonly bool sharing, alike;

    /// <summary>Plans the pages; memory is taken as they are used.</summary>
    /// <exception cref="ArgumentException">There is no memory for one context of the length asked for.</exception>
    public TextPages(MoeModel model, SchedulerOptions options)
    {
        this.model = model;
        int wanted = options.ContextTokens ?? model.ContextTokens;
        if (wanted > model.ContextTokens)
            throw new ArgumentException($"a context of {wanted} tokens was asked for, expected at most {model.ContextTokens}, the model's longest");
        long page = model.Transformer.NewPool(1).PageBytes, bytes = options.CacheBytes ?? MemoryBudget.AvailableBytes() / 2;
        long pages = Math.Min(bytes / page, options.CacheBytes is null ? KvLayout.PageCount(wanted) * options.MaxRunning : int.MaxValue);
        if (pages < (options.ContextTokens is null ? 1 : KvLayout.PageCount(wanted)))
        {
            throw new ArgumentException(
                $"{MemoryBudget.Format(bytes)} for keys and values was found, expected at least {MemoryBudget.Format(page * KvLayout.PageCount(options.ContextTokens ?? 1))}, "
                + $"a context of {options.ContextTokens ?? KvLayout.PageKeys} tokens: use narrower weights, a shorter context, or a larger machine");
        }

        ContextTokens = (int)Math.Min(wanted, pages * KvLayout.PageKeys);
        pool = model.Transformer.NewPool((int)pages);
        prefixes = new PrefixCache(pool);
        // Other ranks have pages of their own for the same texts, which nobody shares there.
        sharing = options.SharePrefixes && !model.Transformer.IsRanked;
        alike = model.Config.Attention.Mla is null;
    }

    /// <summary>Tokens that a text's context can hold.</summary>
    public int ContextTokens { get; }

    /// <summary>Whether texts of one prompt can share its pages.</summary>
    public bool CanFork => !model.Transformer.IsRanked;

    /// <summary>The most pages.</summary>
    public int Total => pool.Capacity;

    /// <summary>Pages in use.</summary>
    public int Used => pool.Used;

    /// <summary>Of these, those that are kept for texts to come alone.</summary>
    public int Kept => prefixes.Evictable;

    /// <summary>Pages that can be had: nobody's, or kept for texts to come alone.</summary>
    public int Obtainable => Total - Used + Kept;

    /// <summary>An empty cache of these pages.</summary>
    public KvCache NewCache() => model.Transformer.NewCache(ContextTokens, pool);

    /// <summary>Whether a request's texts can begin, beside those that run.</summary>
    public bool HasRoom(RequestStream stream, IEnumerable<Sequence> running)
    {
        int prompt = stream.Request.Prompt.Length, ahead = Ahead(stream, 0);
        long needed = KvLayout.PageCount(prompt + ahead) + (stream.Request.Choices - 1) * (KvLayout.PageCount(ahead) + 1);
        long promised = running.Sum(s => Math.Max(0, KvLayout.PageCount(s.Ids.Length + Ahead(s.Stream, s.Writer.Count)) - s.Cache.Held.Count));
        return needed + promised <= Obtainable;
    }

    /// <summary>Whether so many pages can be had, where need be for what is kept.</summary>
    public bool MakeRoom(int pages) => prefixes.MakeRoom(pages);

    /// <summary>Lets a text that hasn't begun begin with what others have computed.</summary>
    /// <returns>The tokens that needn't be computed.</returns>
    public int Begin(Sequence text)
    {
        if (!sharing || text.Cache.Held.Count > 0 || (text.Stream.Request.PromptLogProbs is not null && text.Choice == 0))
            return 0;
        // Its last token's logits are wanted; and tokens that the model chose may be computed by other rules than a prompt's.
        int most = Math.Min(text.Ids.Length - 1, Alike(text) ? int.MaxValue : text.PromptTokens);
        var match = prefixes.Find(Key(text), text.Keys[..most]);
        // The page that is copied may be the one that would have to go.
        if (match.TailTokens > 0 && pool.Used >= pool.Capacity)
            match = match with { Tail = null, TailTokens = 0 };
        text.Adopt(match);
        return match.Tokens;
    }

    /// <summary>Keeps what has been computed of a text for others.</summary>
    public void Publish(Sequence text)
    {
        int tokens = Alike(text) ? text.Cache.Length : Math.Min(text.Cache.Length, text.PromptTokens);
        if (sharing && tokens > 0)
            prefixes.Publish(Key(text), text.Keys[..tokens], text.Cache, text.Text);
    }

    /// <summary>Frees them.</summary>
    public void Dispose()
    {
        prefixes.Dispose();
        pool.Dispose();
    }

    private static PrefixKey Key(Sequence text) => new(text.Stream.Request.CacheSalt, text.Plan.Request);

    // Whether generated tokens have the keys and values that they would have in a prompt, to the bit: latent attention adds in another order.
    private bool Alike(Sequence text) => alike && text.Plan.SameForGenerated;

    private static int Ahead(RequestStream stream, int written) => Math.Clamp((stream.Options.MaxTokens ?? int.MaxValue) - written, 0, AnswerAhead);
}

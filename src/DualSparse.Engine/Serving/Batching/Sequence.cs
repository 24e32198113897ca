using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>One text of a request: its tokens, and of them those that have been through the model.</summary>
internal sealed class Sequence : IDisposable
{
    // Logits of a prompt's part whose log-probabilities are wanted: 64 MiB.
    private const int MostLogits = 1 << 24;

    private readonly MoeModel model;
    private readonly List<int> ids;
    private readonly Func<KvCache> newCache;

    /// <summary>A text that begins with the request's prompt, none of it computed.</summary>
    /// <param name="model">The model.</param>
    /// <param name="stream">The request.</param>
    /// <param name="choice">Which of its texts.</param>
    /// <param name="contextTokens">The longest text.</param>
    /// <param name="newCache">Makes an empty cache.</param>
    public Sequence(MoeModel model, RequestStream stream, int choice, int contextTokens, Func<KvCache> newCache)
    {
        (this.model, Stream, Choice, this.newCache) = (model, stream, choice, newCache);
        var options = stream.Options;
        ids = [.. stream.Request.Prompt.Span];
        if (options.Seed is { } seed)
            options = options with { Seed = seed + (ulong)choice };
        Sampler = new Sampler(options, model.Config.VocabSize);
        Writer = new TokenWriter(model, options, Ids, contextTokens - ids.Count);
        (Cache, Text) = (newCache(), model.Transformer.NewText(Plan));
    }

    /// <summary>The request.</summary>
    public RequestStream Stream { get; }

    /// <summary>Which of its texts.</summary>
    public int Choice { get; }

    /// <summary>Chooses tokens.</summary>
    public Sampler Sampler { get; }

    /// <summary>Makes text of them.</summary>
    public TokenWriter Writer { get; }

    /// <summary>What is dropped.</summary>
    public DropPlan Plan => Stream.Plan;

    /// <summary>Keys and values.</summary>
    public KvCache Cache { get; private set; }

    /// <summary>The drop's state.</summary>
    public TextDrop Text { get; private set; }

    /// <summary>What was dropped in computations that have been given up.</summary>
    public DropCounts Earlier { get; private set; }

    /// <summary>Whether it has given its pages up before.</summary>
    public bool WasResting { get; private set; }

    /// <summary>The text's tokens.</summary>
    public ReadOnlySpan<int> Ids => CollectionsMarshal.AsSpan(ids);

    /// <summary>The text's tokens, as texts with other pictures differ by them.</summary>
    public ReadOnlySpan<int> Keys => Stream.Pictures is { } pictures ? pictures.Keys(Ids) : Ids;

    /// <summary>The prompt's tokens.</summary>
    public int PromptTokens => Stream.Request.Prompt.Length;

    /// <summary>Whether nothing but the last token, which the model chose, has to be computed.</summary>
    public bool IsSingle => ids.Count > PromptTokens && Cache.Length == ids.Count - 1;

    /// <summary>The next tokens, at most so many. A prompt's and generated ones don't share a chunk: they may be computed by other rules.</summary>
    public SequenceChunk Next(int most)
    {
        int from = Cache.Length;
        bool generated = from >= PromptTokens;
        int count = Math.Min(most, (generated ? ids.Count : PromptTokens) - from);
        bool all = !generated && Stream.Request.PromptLogProbs is not null && Choice == 0;
        if (all)
            count = Math.Min(count, Math.Max(1, MostLogits / model.Config.VocabSize));
        var logits = all ? LogitRows.All
            : from + count == ids.Count && Writer.Finish is null ? LogitRows.Last : LogitRows.None;
        return new SequenceChunk(Cache, Ids.Slice(from, count).ToArray(), logits, generated, Text, generated ? null : 0..PromptTokens, Pictures: Stream.Pictures);
    }

    /// <summary>The model has chosen a token.</summary>
    public void Append(int id) => ids.Add(id);

    /// <summary>Begins with what others have computed, as far as it goes; its last token has to be computed in any case.</summary>
    public void Adopt(PrefixMatch match)
    {
        Cache.Adopt(match.Full, match.Tail, match.TailTokens);
        for (int page = 0, left = match.Tokens; left > 0; page++)
        {
            int count = Math.Min(left, KvLayout.PageKeys);
            Text.Append(match.Observed[page], count);
            left -= count;
        }
    }

    /// <summary>Its first tokens as they have been computed, for a text with the same beginning.</summary>
    public PrefixMatch Computed(int tokens)
    {
        int full = tokens / KvLayout.PageKeys, tail = tokens % KvLayout.PageKeys;
        return new PrefixMatch(
            [.. Cache.Held.Take(full)], tail == 0 ? null : Cache.Held[full], tail,
            [.. Enumerable.Range(0, full + (tail > 0 ? 1 : 0)).Select(page => Text.Observed(page * KvLayout.PageKeys, page < full ? KvLayout.PageKeys : tail))]);
    }

    /// <summary>Gives its pages up; its tokens are computed again later.</summary>
    public void GiveUp()
    {
        WasResting = true;
        Earlier += Text.Counts;
        Cache.Dispose();
        (Cache, Text) = (newCache(), model.Transformer.NewText(Plan));
    }

    /// <summary>Frees its pages.</summary>
    public void Dispose() => Cache.Dispose();
}

using System.Runtime.InteropServices;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;

namespace DualSparse.Engine.Serving;

/// <summary>
/// One text in the making: what was put in and what the model wrote. Its keys and values stay in memory from turn to turn, so that only
/// new tokens go through the model. The context keeps every token sampled, one that ended the text and those of a stop string too;
/// <see cref="Truncate"/> takes tokens back. For one thread at a time.
/// </summary>
public sealed class Session : IDisposable
{
    private readonly MoeModel model;
    private readonly KvCache cache;
    private readonly TextDrop drop;
    private readonly List<int> ids = [];
    private TextPictures? pictures;
    private int followedFrom; // the position at which thresholds began to move with the text
    private int sampled; // tokens at the end of the context that the model chose
    private bool disposed;

    internal Session(MoeModel model, int? contextTokens)
    {
        int longest = model.Config.MaxPositions;
        int wanted = contextTokens ?? longest;
        if (wanted < 1 || wanted > longest)
            throw new ArgumentException($"a context of {wanted} tokens was asked for, expected 1 to {longest}, the model's longest");
        this.model = model;
        ContextTokens = wanted;
        drop = model.Transformer.NewText();
        cache = model.Transformer.NewCache(wanted);
        try
        {
            // A context that was asked for is meant to be used; the model's longest, which nobody asked for, may be longer than memory.
            if (contextTokens is not null)
                cache.RequireMemory(wanted);
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>Tokens that the context can hold.</summary>
    public int ContextTokens { get; }

    /// <summary>The tokens of the context, put in and generated.</summary>
    public ReadOnlySpan<int> Ids => CollectionsMarshal.AsSpan(ids);

    /// <summary>Of these, how many have been through the model.</summary>
    public int CachedTokens => cache.Length;

    /// <summary>
    /// What the routed experts leave out, from the next pass on: <see cref="EngineOptions.Drop"/> unless set. Of one text it may change as often as
    /// one likes; other sessions keep theirs.
    /// </summary>
    /// <exception cref="ArgumentException">It makes no sense for this model.</exception>
    /// <exception cref="Models.ModelFormatException">The model's dualsparse.json is damaged.</exception>
    public DropRequest Drop
    {
        get => drop.Plan.Request;
        set
        {
            var plan = model.Transformer.Plan(value);
            if (plan.Followed != drop.Plan.Followed)
                followedFrom = cache.Length;
            drop.Plan = plan;
        }
    }

    /// <summary>The routed experts' work on this text so far, and what was left out of it.</summary>
    public DropCounts Dropped => drop.Counts;

    /// <summary>The loss that dualsparse.json lets expect of the thresholds taken so far; null where nothing is dropped, or it says nothing.</summary>
    public ExpectedLoss? Expected => drop.Expected;

    /// <summary>Positions of the tokens that were put in together and haven't all been through the model; see <see cref="SequenceChunk.Appended"/>.</summary>
    internal Range? Appended { get; set; }

    /// <summary>Its keys and values.</summary>
    internal KvCache Cache => cache;

    /// <summary>Who writes; null once the context was changed from outside.</summary>
    internal Generation? Writer { get; set; }

    /// <summary>Puts text behind the context; the first text gets the special tokens that the tokenizer begins with.</summary>
    /// <exception cref="ArgumentException">It doesn't fit the context.</exception>
    public void Append(string text) => Append(model.Tokenizer.Encode(text, addSpecial: ids.Count == 0));

    /// <summary>Puts tokens behind the context.</summary>
    /// <exception cref="ArgumentException">They don't fit the context, or an id is outside the vocabulary.</exception>
    public void Append(ReadOnlySpan<int> tokens) => Append(new PicturePrompt(tokens.ToArray(), []));

    /// <summary>Puts tokens and pictures behind the context.</summary>
    /// <inheritdoc cref="Append(ReadOnlySpan{int})" path="/exception"/>
    internal void Append(PicturePrompt prompt)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        CheckFits(prompt, ids.Count);
        if (model.Place(prompt) is { } own)
            pictures = pictures?.And(ids.Count, own) ?? TextPictures.At(own.All.Select(one => (ids.Count + one.First, one.Picture)));
        ids.AddRange(prompt.Ids);
        sampled = 0;
        Writer = null;
    }

    /// <summary>Puts tokens in the place of the context; of the beginning that both have in common, the work is kept.</summary>
    /// <exception cref="ArgumentException">They don't fit the context, or an id is outside the vocabulary.</exception>
    public void Replace(ReadOnlySpan<int> tokens) => Replace(new PicturePrompt(tokens.ToArray(), []));

    /// <summary>The same with pictures: of equal ones the work is kept too.</summary>
    /// <inheritdoc cref="Replace(ReadOnlySpan{int})" path="/exception"/>
    internal void Replace(PicturePrompt prompt)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        CheckFits(prompt, 0);
        var placed = model.Place(prompt);
        ReadOnlySpan<int> before = pictures is null ? Ids : pictures.Keys(Ids), now = placed is null ? prompt.Ids : placed.Keys(prompt.Ids);
        int common = before.CommonPrefixLength(now);
        Truncate(pictures?.CutAt(common) ?? common);
        ids.AddRange(prompt.Ids.AsSpan(ids.Count));
        pictures = placed;
        sampled = 0;
    }

    /// <summary>Takes back all but the first tokens of the context.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The context has fewer.</exception>
    /// <exception cref="ArgumentException">It would end inside a picture.</exception>
    public void Truncate(int tokens)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, ids.Count);
        if (pictures?.CutAt(tokens) is { } first)
            throw new ArgumentException($"{tokens} tokens end inside the picture that begins at token {first}, expected all of it or nothing");
        pictures = pictures?.Before(tokens);
        Writer = null;
        sampled = Math.Max(0, sampled - (ids.Count - tokens));
        CollectionsMarshal.SetCount(ids, tokens);
        TruncateCache(Math.Min(cache.Length, tokens));
        Appended = null;
    }

    /// <summary>Puts text behind the context and lets the model go on from there.</summary>
    /// <param name="text">As for <see cref="Append(string)"/>.</param>
    /// <param name="options">How; null: as the checkpoint wants it.</param>
    /// <param name="cancel">Ends the generation between two tokens, or two chunks of the prompt; the session stays usable.</param>
    /// <returns>The tokens, made as they are asked for.</returns>
    /// <exception cref="ArgumentException">The text doesn't fit the context, or an option makes no sense.</exception>
    public Generation Generate(string text, GenerationOptions? options = null, CancellationToken cancel = default)
    {
        (options ??= model.Defaults).Check();
        Append(text);
        return Generate(options, cancel);
    }

    /// <summary>Lets the model go on from the context; from the token that opens a text, if the context is empty and there is one.</summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions, CancellationToken)"/>
    public Generation Generate(GenerationOptions? options = null, CancellationToken cancel = default)
    {
        (options ??= model.Defaults).Check();
        if (ids.Count == 0)
            Append([model.Config.Generation.BosId ?? throw new ArgumentException("the prompt is empty, and this model has no token that opens a text")]);
        return new Generation(model, this, options, cancel);
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose()
    {
        disposed = true;
        cache.Dispose();
    }

    /// <summary>Brings the cache up to the context and chooses the next token, which joins the context.</summary>
    /// <returns>The token, and how many went through the model for it.</returns>
    internal (GeneratedToken Token, int Passed) Step(Sampler sampler, LogProbs? logProbs, int alternatives, CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        // The last token's logits are needed: if it has been through the model, it goes once more.
        if (cache.Length == ids.Count)
            TruncateCache(ids.Count - 1);
        int passed = ids.Count - cache.Length;
        // Rather now than in the middle of a long prompt.
        cache.RequireMemory(passed);
        // One that was cancelled on the way goes on as what it was.
        if (Appended is not { } appended || appended.End.Value != ids.Count || appended.Start.Value > cache.Length)
            Appended = cache.Length..ids.Count;
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            lock (model.ForwardLock)
            {
                ObjectDisposedException.ThrowIf(model.Disposed, model);
                int count = Math.Min(model.ChunkTokens, ids.Count - cache.Length);
                bool last = cache.Length + count == ids.Count;
                // One token that the model has just chosen is generation, all else a prompt.
                bool generated = passed == 1 && sampled > 0;
                var chunk = new SequenceChunk(cache, Ids.Slice(cache.Length, count).ToArray(), last ? LogitRows.Last : LogitRows.None, generated, drop, Appended, Pictures: pictures);
                var logits = model.Transformer.Forward([chunk], cancel: cancel);
                if (!last)
                    continue;
                int id = sampler.Next(logits, Ids);
                (float? Own, IReadOnlyList<TokenLogProb> Best) known = logProbs is null ? (null, []) : logProbs.Of(logits, id, alternatives);
                ids.Add(id);
                sampled++;
                return (new GeneratedToken(id, "", known.Own, known.Best, null), passed);
            }
        }
    }

    private void TruncateCache(int tokens)
    {
        cache.Truncate(tokens);
        drop.Truncate(Math.Max(0, tokens - followedFrom));
        followedFrom = Math.Min(followedFrom, tokens);
    }

    private void CheckFits(PicturePrompt prompt, int before)
    {
        int[] tokens = prompt.Ids;
        if (tokens.Length > ContextTokens - before)
        {
            string has = before == 0 ? $"the prompt has {tokens.Length} tokens" : $"{tokens.Length} more tokens make the context {before + tokens.Length} tokens long";
            string longest = model.Config.MaxPositions == ContextTokens
                ? "the model's longest"
                : $"as the session was made for (the model could take {model.Config.MaxPositions})";
            throw new ArgumentException($"{has}, expected at most {ContextTokens}, {longest}");
        }

        foreach (int id in tokens)
        {
            if ((uint)id >= (uint)model.Config.VocabSize)
                throw new ArgumentException($"the token id {id} is outside the vocabulary of {model.Config.VocabSize}");
        }

        PicturePrompt.Require(model.Config, tokens, prompt.Pictures);
    }
}

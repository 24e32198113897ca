using System.Collections;
using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DualSparse.Engine.Serving;

/// <summary>
/// Tokens that a model writes, each made when it is asked for, with <c>foreach</c> or, by <see cref="AsAsync"/>, <c>await foreach</c>;
/// once. Whoever stops asking ends the generation.
/// </summary>
public sealed class Generation : IEnumerable<GeneratedToken>
{
    private readonly MoeModel model;
    private readonly Session session;
    private readonly GenerationOptions options;
    private readonly CancellationToken cancel;
    private GenerationSummary? summary;
    private bool taken;

    internal Generation(MoeModel model, Session session, GenerationOptions options, CancellationToken cancel) =>
        (this.model, this.session, this.options, this.cancel) = (model, session, options, cancel);

    /// <summary>What it was, once the last token has been taken.</summary>
    /// <exception cref="InvalidOperationException">It hasn't ended.</exception>
    public GenerationSummary Summary => summary ?? throw new InvalidOperationException("the generation hasn't ended yet");

    /// <summary>Generates to the end.</summary>
    /// <returns>The whole text.</returns>
    public string ReadToEnd() => string.Concat(this.Select(token => token.Text));

    /// <summary>Starts generating.</summary>
    /// <exception cref="InvalidOperationException">
    /// It was started before; or, from the enumerator: the session has meanwhile been given other tokens or another generation, or a logit is
    /// not a number.
    /// </exception>
    /// <exception cref="ObjectDisposedException">From the enumerator: the session or its model has been disposed.</exception>
    /// <exception cref="OperationCanceledException">From the enumerator: the token given to the session was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">From the enumerator: the context's keys and values need more memory than is free; the session keeps what it has.</exception>
    public IEnumerator<GeneratedToken> GetEnumerator()
    {
        Take();
        return Run(cancel);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>The same tokens, each made on a thread of the pool; exceptions as from <see cref="GetEnumerator"/>, with the first token at the earliest.</summary>
    /// <param name="cancel">Ends it as the token given to the session does: whichever is first.</param>
    public async IAsyncEnumerable<GeneratedToken> AsAsync([EnumeratorCancellation] CancellationToken cancel = default)
    {
        Take();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(this.cancel, cancel);
        using var tokens = Run(either.Token);
        while (await Next().ConfigureAwait(false))
            yield return tokens.Current;

        // Whoever has cancelled finds his own token in the exception.
        async Task<bool> Next()
        {
            try
            {
                return await Task.Run(tokens.MoveNext, CancellationToken.None).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                this.cancel.ThrowIfCancellationRequested();
                cancel.ThrowIfCancellationRequested();
                throw;
            }
        }
    }

    private void Take()
    {
        if (taken)
            throw new InvalidOperationException("a generation can be enumerated once");
        taken = true;
    }

    private IEnumerator<GeneratedToken> Run(CancellationToken cancel)
    {
        session.Writer = this;
        int vocabulary = model.Config.VocabSize;
        var sampler = new Sampler(options, vocabulary);
        var logProbs = options.LogProbs is null ? null : new LogProbs(vocabulary);
        var writer = new TokenWriter(model, options, session.Ids, session.ContextTokens - session.Ids.Length);
        int promptTokens = session.Ids.Length - session.CachedTokens;
        TimeSpan promptTime = default, generationTime = default;
        while (writer.Finish is null)
        {
            long started = Stopwatch.GetTimestamp();
            if (session.Writer != this)
                throw new InvalidOperationException("the session's context has changed, or another generation has begun, since this one's last token");
            var (chosen, passed) = session.Step(sampler, logProbs, options.LogProbs ?? 0, cancel);
            var token = writer.Write(chosen.Id, chosen.LogProb, chosen.Alternatives);
            var time = Stopwatch.GetElapsedTime(started);
            if (writer.Count == 1)
                (promptTokens, promptTime) = (passed, time);
            else
                generationTime += time;
            if (token.Finish is { } reason)
                summary = Summarise(reason);
            yield return token;
        }

        summary ??= Summarise(writer.Finish.Value);

        GenerationSummary Summarise(FinishReason reason) => new(
            reason, promptTokens, writer.Count, session.Ids.Length, promptTime.TotalSeconds, generationTime.TotalSeconds, sampler.Seed, writer.StopString);
    }
}

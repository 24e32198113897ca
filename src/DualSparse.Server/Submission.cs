using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Server;

/// <summary>The requests of one call, a request a prompt: they are taken together or not at all, and read as one stream of tokens.</summary>
internal sealed class Submission : IDisposable
{
    private readonly IReadOnlyList<RequestStream> streams;
    private readonly int choices;

    /// <summary>Takes requests that were handed over.</summary>
    /// <param name="streams">The requests, in the order of the prompts.</param>
    /// <param name="choices">Answers to each prompt.</param>
    internal Submission(IReadOnlyList<RequestStream> streams, int choices) => (this.streams, this.choices) = (streams, choices);

    /// <summary>The requests, in the order of the prompts.</summary>
    public IReadOnlyList<RequestStream> Streams => streams;

    /// <summary>Answers: those to the first prompt, then those to the second.</summary>
    public int Answers => streams.Count * choices;

    /// <summary>Answers to each prompt.</summary>
    public int Choices => choices;

    /// <summary>Hands the requests over; if one isn't taken, none is.</summary>
    public static Submission Submit(Scheduler scheduler, IReadOnlyList<GenerationRequest> requests, CancellationToken cancel)
    {
        List<RequestStream> streams = [];
        try
        {
            foreach (var request in requests)
                streams.Add(scheduler.Submit(request, cancel));
            return new Submission(streams, requests[0].Choices);
        }
        catch
        {
            streams.ForEach(stream => stream.Cancel());
            throw;
        }
    }

    /// <summary>Waits until the first of them has left the queue: before that a failure is a status, and no answer has begun.</summary>
    public async Task AdmittedAsync(CancellationToken cancel) =>
        await (await Task.WhenAny(streams.Select(stream => stream.Admitted)).WaitAsync(cancel).ConfigureAwait(false)).ConfigureAwait(false);

    /// <summary>The tokens of all of them as they come, each with its answer's index.</summary>
    public IAsyncEnumerable<ChoiceToken> ReadAsync(CancellationToken cancel) => streams is [var only] ? only.ReadAsync(cancel) : Merged(cancel);

    /// <summary>Ends what still runs.</summary>
    public void Dispose()
    {
        foreach (var stream in streams)
            stream.Cancel();
    }

    private async IAsyncEnumerable<ChoiceToken> Merged([EnumeratorCancellation] CancellationToken cancel)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var tokens = Channel.CreateUnbounded<ChoiceToken>();
        var all = Task.WhenAll(streams.Select((stream, prompt) => Pump(stream, prompt * choices, tokens.Writer, end)));
        _ = all.ContinueWith(done => tokens.Writer.TryComplete(done.Exception?.InnerException), TaskScheduler.Default);
        try
        {
            await foreach (var token in tokens.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
                yield return token;
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            await all.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        cancel.ThrowIfCancellationRequested();
    }

    // One failure ends them all: an answer without some of its parts is none.
    private static async Task Pump(RequestStream stream, int first, ChannelWriter<ChoiceToken> tokens, CancellationTokenSource end)
    {
        try
        {
            await foreach (var token in stream.ReadAsync(end.Token).ConfigureAwait(false))
                tokens.TryWrite(token with { Choice = first + token.Choice });
        }
        catch (Exception e)
        {
            tokens.TryComplete(e);
            await end.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }
}

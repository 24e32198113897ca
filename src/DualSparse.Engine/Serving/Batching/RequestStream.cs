using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>A request that a <see cref="Scheduler"/> has taken: its tokens as they come, of all its texts; to be read once.</summary>
public sealed class RequestStream
{
    private readonly Channel<ChoiceToken> tokens = Channel.CreateUnbounded<ChoiceToken>(new() { SingleWriter = false, SingleReader = true });
    private readonly TaskCompletionSource admitted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action wake;
    private readonly List<PromptToken> promptLogProbs = [];
    private CancellationTokenRegistration registration;
    private bool taken;

    internal RequestStream(GenerationRequest request, GenerationOptions options, DropPlan plan, Action wake)
    {
        (Request, Options, Plan, this.wake) = (request, options, plan, wake);
        Open = request.Choices;
        Usage = new RequestUsage(request.Prompt.Length, 0, 0, default, null, default, default, default, 0);
        // Nobody need look at it.
        _ = admitted.Task.ContinueWith(task => _ = task.Exception, TaskScheduler.Default);
    }

    /// <summary>The request.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Completes when the request leaves the queue; if it never does, it fails as the stream would.</summary>
    public Task Admitted => admitted.Task;

    /// <summary>What it has taken; final with the last token.</summary>
    public RequestUsage Usage { get; internal set; }

    /// <summary>The prompt's tokens, if <see cref="GenerationRequest.PromptLogProbs"/> asked for them: all are there with the first token or the stream's end.</summary>
    public IReadOnlyList<PromptToken> PromptLogProbs => promptLogProbs;

    /// <summary>How text is generated.</summary>
    internal GenerationOptions Options { get; }

    /// <summary>What is dropped.</summary>
    internal DropPlan Plan { get; }

    /// <summary>Where its prompt has pictures, once they have been read; null: nowhere.</summary>
    internal TextPictures? Pictures { get; set; }

    /// <summary>When it came.</summary>
    internal long Arrived { get; } = Stopwatch.GetTimestamp();

    /// <summary>Whether its caller has given up, or it has failed.</summary>
    internal bool IsOver { get; private set; }

    /// <summary>Texts that haven't ended.</summary>
    internal int Open { get; set; }

    /// <summary>Its texts that have begun.</summary>
    internal List<Sequence> Texts { get; } = [];

    /// <summary>Prompt tokens whose work another request had done.</summary>
    internal int CachedTokens { get; set; }

    /// <summary>The tokens, until all texts have ended. Whoever stops reading cancels the request.</summary>
    /// <param name="cancel">Cancels the request.</param>
    /// <exception cref="InvalidOperationException">It was read before; or a logit is not a number.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="TimeoutException">It waited longer than <see cref="SchedulerOptions.QueueTimeout"/>.</exception>
    /// <exception cref="DrainingException">The scheduler stops.</exception>
    public async IAsyncEnumerable<ChoiceToken> ReadAsync([EnumeratorCancellation] CancellationToken cancel = default)
    {
        if (taken)
            throw new InvalidOperationException("a request's tokens can be read once");
        taken = true;
        try
        {
            // Not ReadAllAsync: what is cancelled is the request, and it ends the channel.
            using var _ = cancel.Register(Cancel);
            while (await tokens.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                while (tokens.Reader.TryRead(out var token))
                    yield return token;
            }

            cancel.ThrowIfCancellationRequested();
        }
        finally
        {
            Cancel();
        }
    }

    /// <summary>Gives the request up; its pages are free with the next step. Nothing happens where it has ended.</summary>
    public void Cancel() => Fail(new OperationCanceledException("the request was cancelled"));

    /// <summary>Cancels the request with a token.</summary>
    internal void CancelWith(CancellationToken cancel) => registration = cancel.Register(Cancel);

    /// <summary>It leaves the queue.</summary>
    internal void Admit()
    {
        Usage = Usage with { QueueTime = Stopwatch.GetElapsedTime(Arrived) };
        admitted.TrySetResult();
    }

    /// <summary>Brings <see cref="Usage"/> up to date.</summary>
    /// <param name="first">Whether the first token has come just now.</param>
    internal void Report(bool first)
    {
        var passed = Stopwatch.GetElapsedTime(Arrived);
        Usage = Usage with
        {
            CachedTokens = CachedTokens,
            GeneratedTokens = Texts.Sum(text => text.Writer.Count),
            Dropped = Texts.Aggregate(default(DropCounts), (sum, text) => sum + text.Earlier + text.Text.Counts),
            Expected = Texts[0].Text.Expected,
            FirstTokenTime = first ? passed : Usage.FirstTokenTime,
            TotalTime = passed,
            Seed = Texts[0].Sampler.Seed,
        };
    }

    /// <summary>Takes the next prompt tokens.</summary>
    internal void Add(PromptToken token) => promptLogProbs.Add(token);

    /// <summary>Hands a token over.</summary>
    internal void Write(int choice, GeneratedToken token) => tokens.Writer.TryWrite(new ChoiceToken(choice, token));

    /// <summary>All texts have ended.</summary>
    internal void Complete()
    {
        IsOver = true;
        tokens.Writer.TryComplete();
        registration.Unregister();
    }

    /// <summary>Ends it before its time.</summary>
    internal void Fail(Exception why)
    {
        if (!tokens.Writer.TryComplete(why))
            return;
        IsOver = true;
        if (why is OperationCanceledException)
            admitted.TrySetCanceled();
        else
            admitted.TrySetException(why);
        registration.Unregister();
        wake();
    }
}

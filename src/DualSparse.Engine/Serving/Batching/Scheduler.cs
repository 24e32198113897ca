using System.Diagnostics;
using DualSparse.Engine.Vision;
using DualSparse.Models;

namespace DualSparse.Engine.Serving.Batching;

/// <summary>
/// Many requests on one model. Each step runs one token of every text that is being written and, in the time left, parts of prompts; then tokens
/// are chosen and handed over. Results are batch-invariant: a request's text is the same whatever else runs. One thread of its own runs the steps.
/// </summary>
public sealed class Scheduler : IDisposable
{
    private readonly SchedulerOptions options;
    private readonly Lock gate = new(); // guards waiting, draining, stopping
    private readonly LinkedList<RequestStream> waiting = [];
    private readonly AutoResetEvent news = new(false);
    private readonly RunningTexts running;
    private readonly StepBudget budget;
    private readonly Thread thread;
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SchedulerState state;
    private Exception? failure;
    private volatile bool draining, stopping;
    private volatile RunningPass? pass;

    /// <summary>Starts a scheduler.</summary>
    /// <param name="model">The model, which isn't disposed with it. Its sessions may be used beside, their passes in turn with the steps.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="ArgumentException">A limit makes no sense, or the cache doesn't hold one context.</exception>
    public Scheduler(MoeModel model, SchedulerOptions? options = null)
    {
        (Model, this.options) = (model, options ?? new SchedulerOptions());
        this.options.Check();
        running = new RunningTexts(model, this.options);
        budget = new StepBudget(this.options.Stretch, model.ChunkTokens);
        state = new SchedulerState { PagesTotal = running.PagesTotal };
        thread = new Thread(Run) { IsBackground = true, Name = "DualSparse scheduler" };
        thread.Start();
    }

    /// <summary>The model.</summary>
    public MoeModel Model { get; }

    /// <summary>Tokens that a text's context can hold.</summary>
    public int ContextTokens => running.ContextTokens;

    /// <summary>What it does at the moment.</summary>
    public SchedulerState State
    {
        get
        {
            lock (gate)
                return state with { Waiting = waiting.Count, WaitingTokens = waiting.Sum(stream => stream.Request.Prompt.Length), Draining = draining, Failure = failure?.Message };
        }
    }

    /// <summary>Puts a request into the queue.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancel">Cancels it at any time.</param>
    /// <exception cref="ContextLengthException">The prompt leaves no room for an answer.</exception>
    /// <exception cref="ArgumentException">An option makes no sense, or an id is outside the vocabulary.</exception>
    /// <exception cref="ModelFormatException">The model's dualsparse.json is damaged.</exception>
    /// <exception cref="QueueFullException">Too many requests wait.</exception>
    /// <exception cref="DrainingException">The scheduler is about to stop.</exception>
    public RequestStream Submit(GenerationRequest request, CancellationToken cancel = default)
    {
        var stream = Checked(request);
        lock (gate)
        {
            if (failure is not null)
                throw new InvalidOperationException($"the model can't go on: {failure.Message}", failure);
            if (draining)
                throw new DrainingException("no more requests are taken: the server is about to stop");
            RequireRoom(request);
            waiting.AddLast(stream);
        }

        stream.CancelWith(cancel);
        news.Set();
        return stream;
    }

    /// <summary>Takes no more requests, and ends when those that it has have.</summary>
    /// <param name="grace">How long they may take; then they fail.</param>
    public async Task DrainAsync(TimeSpan grace)
    {
        lock (gate)
            draining = true;
        news.Set();
        if (await Task.WhenAny(drained.Task, Task.Delay(grace)).ConfigureAwait(false) == drained.Task)
            return;
        End();
        await drained.Task.ConfigureAwait(false);
    }

    /// <summary>Ends what runs and frees the caches.</summary>
    public void Dispose()
    {
        End();
        thread.Join();
    }

    private void End()
    {
        lock (gate)
            (draining, stopping) = (true, true);
        pass?.Cancel.Cancel();
        news.Set();
    }

    private RequestStream Checked(GenerationRequest request)
    {
        var how = request.Options ?? Model.Defaults;
        how.Check();
        int prompt = request.Prompt.Length;
        if (prompt == 0)
            throw new ArgumentException("the prompt is empty, expected at least one token");
        // Without a token to generate, a prompt may fill the context.
        if (prompt > ContextTokens - (how.MaxTokens == 0 ? 0 : 1))
            throw new ContextLengthException(prompt, ContextTokens);
        foreach (int id in request.Prompt.Span)
        {
            if ((uint)id >= (uint)Model.Config.VocabSize)
                throw new ArgumentException($"the token id {id} is outside the vocabulary of {Model.Config.VocabSize}");
        }

        PicturePrompt.Require(Model.Config, request.Prompt.Span, request.Pictures);
        if (request.Choices < 1 || request.Choices > options.MaxRunning)
            throw new ArgumentException($"{request.Choices} texts were asked for, expected 1 to {options.MaxRunning}, as many as run at a time");
        if (request.PromptLogProbs < 0)
            throw new ArgumentException($"the log-probabilities of {request.PromptLogProbs} tokens were asked for, expected at least 0");
        var drop = request.Drop ?? Model.Transformer.Drop.Request;
        if (drop.IsNone)
            drop = DropRequest.None;
        return new RequestStream(request, how, Model.Transformer.Plan(drop), Wake);
    }

    private void RequireRoom(GenerationRequest request)
    {
        int texts = waiting.Sum(stream => stream.Request.Choices) + state.Running;
        if (texts + request.Choices > options.MaxRunning && waiting.Count >= options.MaxQueued)
            throw new QueueFullException($"{waiting.Count} requests wait already, the most that may", RetryAfter());
        int tokens = waiting.Sum(stream => stream.Request.Prompt.Length);
        if (options.MaxQueuedTokens is { } most && tokens > 0 && tokens + request.Prompt.Length > most)
            throw new QueueFullException($"prompts of {tokens} tokens wait already, at most {most} may", RetryAfter());
    }

    // When the prompts that wait have been computed; the texts' own time isn't known.
    private TimeSpan RetryAfter() =>
        TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(budget.PromptTime(waiting.Sum(stream => stream.Request.Prompt.Length))), 1, 60));

    // Somebody has given up: if all requests of the pass that runs have, it needn't go on.
    private void Wake()
    {
        if (pass is { } current && current.Requests.All(stream => stream.IsOver))
            current.Cancel.Cancel();
        news.Set();
    }

    private void Run()
    {
        Exception why = new DrainingException("the server stopped before the answer had ended");
        try
        {
            RunSteps();
        }
        catch (Exception e)
        {
            (failure, why) = (e, e);
        }

        lock (gate)
        {
            draining = true;
            foreach (var stream in waiting)
                stream.Fail(why);
            waiting.Clear();
        }

        running.Fail(why);
        running.Dispose();
        Report();
        drained.SetResult();
    }

    private void RunSteps()
    {
        while (true)
        {
            Receive();
            if (stopping || (draining && running.IsEmpty && state.Waiting == 0))
                return;
            var chunks = running.Next(budget);
            Report();
            if (chunks.Count == 0)
                news.WaitOne(NextTimeout());
            else
                Step([.. chunks]);
        }
    }

    // From the queue to the running texts, in the order of arrival.
    private void Receive()
    {
        running.RemoveEnded();
        lock (gate)
        {
            for (var node = waiting.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.IsOver)
                    waiting.Remove(node);
                else if (options.QueueTimeout is { } most && Stopwatch.GetElapsedTime(node.Value.Arrived) > most)
                    Remove(node, new TimeoutException($"the request has waited for {most.TotalSeconds:0.#} s, the longest that it may"));
                node = next;
            }

            while (!stopping && waiting.First is { } first && running.HasRoom(first.Value))
            {
                waiting.RemoveFirst();
                Begin(first.Value);
            }

            state = state with { Waiting = waiting.Count };
        }

        void Begin(RequestStream stream)
        {
            try
            {
                running.Add(stream);
            }
            catch (OutOfMemoryException e)
            {
                stream.Fail(e);
            }
        }

        void Remove(LinkedListNode<RequestStream> node, Exception why)
        {
            waiting.Remove(node);
            node.Value.Fail(why);
        }
    }

    private TimeSpan NextTimeout()
    {
        lock (gate)
        {
            if (options.QueueTimeout is not { } most || waiting.First is not { } first)
                return Timeout.InfiniteTimeSpan;
            var left = most - Stopwatch.GetElapsedTime(first.Value.Arrived);
            return left > TimeSpan.Zero ? left + TimeSpan.FromMilliseconds(1) : TimeSpan.FromMilliseconds(1);
        }
    }

    private void Step(SequenceChunk[] chunks)
    {
        var current = pass = new RunningPass(running.StepStreams, new CancellationTokenSource());
        // Who gave up, or ended it all, before he could see it.
        if (stopping || current.Requests.All(stream => stream.IsOver))
            current.Cancel.Cancel();
        try
        {
            lock (Model.ForwardLock)
            {
                ObjectDisposedException.ThrowIf(Model.Disposed, Model);
                long started = Stopwatch.GetTimestamp();
                var logits = Model.Transformer.Forward(chunks, cancel: current.Cancel.Token);
                int singles = chunks.Count(chunk => chunk.Generated && chunk.Ids.Length == 1);
                budget.Measured(singles, chunks.Sum(chunk => chunk.Ids.Length) - singles, Stopwatch.GetElapsedTime(started).TotalSeconds);
                running.Commit(logits);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody waits for it.
        }
        catch (OutOfMemoryException e)
        {
            running.Shrink(e);
        }
        catch (Exception e)
        {
            // Nobody knows whose fault it was; caches and texts are as they were, and requests that weren't in the pass go on.
            foreach (var stream in current.Requests)
                stream.Fail(e);
            if (e is ObjectDisposedException || Model.Transformer.IsRanked)
                failure = e;
        }
        finally
        {
            pass = null;
        }
    }

    private void Report()
    {
        var now = running.State;
        lock (gate)
            state = now with { Waiting = waiting.Count };
    }

    private sealed record RunningPass(RequestStream[] Requests, CancellationTokenSource Cancel);
}

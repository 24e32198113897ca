using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Tests.Engine.Serving;

public class SchedulerTests(LoadedModel loaded) : IClassFixture<LoadedModel>
{
    private static readonly DropRequest?[] Drops = [null, new() { Rate = 0.25 }, new() { Thresholds = new DropThresholds(0.02f, 0.05f) }, new() { Rate = 0.4, Generated = DropRequest.None }];
    private readonly MoeModel model = loaded.Model;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null, true)]
    [InlineData(null, false)]
    [InlineData(14, true)] // fewer pages than the texts need: some give theirs up and are computed again
    public async Task A_request_gives_what_it_gives_alone_whatever_runs_beside_it(int? pages, bool share)
    {
        SlowTests.Require(!share);
        using var scheduler = New(new() { SharePrefixes = share, CacheBytes = pages * PageBytes });
        // Answers longer than what is kept free for them.
        var requests = pages is null ? [.. Enumerable.Range(0, 24).Select(Request)] : Enumerable.Range(0, 8).Select(i => Request(i) with
        {
            Prompt = Prompt(40 + 4 * i, i),
            Options = new() { MaxTokens = 400, EosIds = [] },
        }).ToArray();
        var alone = requests.Select(Alone).ToArray();
        for (int round = 0; round < (pages is null ? 2 : 1); round++)
        {
            var together = await Task.WhenAll(requests.Select(async (request, i) =>
            {
                await Task.Delay(i % 5 * 7, Cancel);
                return await Read(scheduler, request);
            }));
            Assert.Equal(alone, together.Select(t => t.Text));
            Assert.Equal(requests.Select(r => r.Prompt.Length), together.Select(t => t.Usage.PromptTokens));
            if (share && round == 1 && pages is null)
                Assert.All(together, t => Assert.InRange(t.Usage.CachedTokens, t.Usage.PromptTokens - 1 - 4, t.Usage.PromptTokens - 1));
        }

        Assert.Equal(pages is not null, scheduler.State.Preempted > 0);
        Assert.Equal((0, 0), (scheduler.State.Running, scheduler.State.PagesUsed - scheduler.State.PagesKept));
        if (!share)
            Assert.Equal(0, scheduler.State.CachedTokens);
    }

    [Fact]
    public async Task Latent_attention_and_other_families_are_batch_invariant_too()
    {
        foreach (string family in (string[])["deepseek_v2", "qwen3_moe", "mixtral"])
        {
            using var folder = TemporaryFolder.CopyOf(family);
            File.Copy(Path.Combine(TestPaths.Model, "tokenizer.json"), folder.File("tokenizer.json"));
            using var small = MoeModel.Load(folder.Path);
            // Three contexts' pages for eight texts.
            long page = small.Transformer.NewPool(1).PageBytes;
            using var scheduler = new Scheduler(small, new() { CacheBytes = 8 * page });
            int vocabulary = small.Config.VocabSize, longest = Math.Min(300, small.ContextTokens - 1);
            var requests = Enumerable.Range(0, 8).Select(i => new GenerationRequest
            {
                Prompt = Enumerable.Range(0, longest - 11 * i).Select(p => (p * 7 + (p > 150 ? i / 2 : 0)) % vocabulary).ToArray(),
                Options = new() { MaxTokens = 30, EosIds = [], LogProbs = 0 },
            }).ToArray();
            var alone = requests.Select(request => Alone(small, request)).ToArray();
            for (int round = 0; round < 2; round++)
                Assert.Equal(alone, (await Task.WhenAll(requests.Select(request => Read(scheduler, request)))).Select(t => t.Text));
        }
    }

    [Fact]
    public async Task Texts_of_one_prompt_share_it_and_are_those_of_their_seeds()
    {
        using var scheduler = New();
        var request = new GenerationRequest { Prompt = Prompt(200, 3), Choices = 3, Options = new() { MaxTokens = 20, Temperature = 1, Seed = 5, EosIds = [] }, Drop = Drops[1] };
        var stream = scheduler.Submit(request, Cancel);
        var texts = new List<int>[] { [], [], [] };
        await foreach (var (choice, token) in stream.ReadAsync(Cancel))
            texts[choice].Add(token.Id);
        for (int choice = 0; choice < 3; choice++)
            Assert.Equal(Alone(request with { Choices = 1, Options = request.Options with { Seed = 5 + (ulong)choice } }), Text(texts[choice]));
        Assert.Equal((60, 0), (stream.Usage.GeneratedTokens, stream.Usage.CachedTokens));
        Assert.Equal(200, scheduler.State.PromptTokens);
    }

    [Fact]
    public async Task A_prompt_s_log_probabilities_are_those_of_the_model()
    {
        using var scheduler = New();
        var prompt = Prompt(150, 1);
        var stream = scheduler.Submit(new() { Prompt = prompt, PromptLogProbs = 2, Options = new() { MaxTokens = 1 } }, Cancel);
        Assert.Single(await All(stream));
        using var cache = model.Transformer.NewCache(150);
        float[] logits = model.Transformer.Forward([new SequenceChunk(cache, prompt, LogitRows.All)]).ToArray();
        int vocabulary = model.Config.VocabSize;
        var logProbs = new LogProbs(vocabulary);
        Assert.Equal(150, stream.PromptLogProbs.Count);
        Assert.Null(stream.PromptLogProbs[0].LogProb);
        for (int t = 1; t < 150; t++)
        {
            var (own, best) = logProbs.Of(logits.AsSpan((t - 1) * vocabulary, vocabulary), prompt[t], 2);
            Assert.Equal((prompt[t], own), (stream.PromptLogProbs[t].Id, stream.PromptLogProbs[t].LogProb!.Value));
            Assert.Equal(best, stream.PromptLogProbs[t].Best);
        }

        var none = scheduler.Submit(new() { Prompt = prompt, PromptLogProbs = 0, Options = new() { MaxTokens = 0 } }, Cancel);
        Assert.Empty(await All(none));
        Assert.Equal(150, none.PromptLogProbs.Count);
    }

    [Fact]
    public async Task A_conversation_s_second_turn_is_read_from_the_cache()
    {
        using var scheduler = New();
        var first = new GenerationRequest { Prompt = Prompt(190, 8), Options = new() { MaxTokens = 60, EosIds = [] } };
        var tokens = await All(scheduler.Submit(first, Cancel));
        int[] second = [.. first.Prompt.Span, .. tokens.Select(t => t.Token.Id), 5, 6, 7];
        var request = new GenerationRequest { Prompt = second, Options = new() { MaxTokens = 8 } };
        var (text, usage) = await Read(scheduler, request);
        // The last token of the answer has never been through the model.
        Assert.Equal(190 + 59, usage.CachedTokens);
        Assert.Equal(Alone(request), text);

        // Neither another salt nor another drop sees it.
        Assert.Equal(0, (await Read(scheduler, request with { CacheSalt = "another" })).Usage.CachedTokens);
        Assert.Equal(0, (await Read(scheduler, request with { Drop = Drops[1] })).Usage.CachedTokens);
    }

    [Fact]
    public async Task What_cannot_be_run_is_refused_before_it_waits()
    {
        using var scheduler = New();
        var tooLong = Assert.Throws<ContextLengthException>(() => scheduler.Submit(new() { Prompt = Prompt(512, 0) }, Cancel));
        Assert.Equal((512, 512), (tooLong.PromptTokens, tooLong.ContextTokens));
        Assert.Throws<ArgumentException>(() => scheduler.Submit(new() { Prompt = new int[0] }, Cancel));
        Assert.Throws<ArgumentException>(() => scheduler.Submit(new() { Prompt = new[] { 4096 } }, Cancel));
        Assert.Throws<ArgumentException>(() => scheduler.Submit(new() { Prompt = new[] { 1 }, Choices = 25 }, Cancel));
        Assert.Throws<ArgumentException>(() => scheduler.Submit(new() { Prompt = new[] { 1 }, Drop = new() { Rate = 2 } }, Cancel));
        Assert.Throws<ArgumentException>(() => New(new() { MaxRunning = 0 }));
        Assert.Throws<ArgumentException>(() => New(new() { ContextTokens = 513 }));
        Assert.Throws<ArgumentException>(() => New(new() { ContextTokens = 512, CacheBytes = 2 * PageBytes }));
        Assert.Equal(0, scheduler.State.Waiting);
        // A full context is no reason to go wrong.
        Assert.Equal(FinishReason.ContextFull, Assert.Single(await All(scheduler.Submit(new() { Prompt = Prompt(511, 0), Options = new() { EosIds = [] } }, Cancel))).Token.Finish);
    }

    [Fact]
    public async Task A_full_queue_refuses_and_a_long_wait_ends()
    {
        using var scheduler = New(new() { MaxRunning = 1, MaxQueued = 1, QueueTimeout = TimeSpan.FromMilliseconds(50), MaxQueuedTokens = 400 });
        using var held = new CancellationTokenSource();
        Task<List<ChoiceToken>> running;
        RequestStream waiting;
        lock (model.ForwardLock) // so that nothing ends meanwhile
        {
            var first = scheduler.Submit(Endless(0), held.Token);
            running = All(first);
            Assert.True(SpinWait.SpinUntil(() => first.Admitted.IsCompleted, 5000));
            waiting = scheduler.Submit(Endless(1), Cancel);
            Assert.InRange(Assert.Throws<QueueFullException>(() => scheduler.Submit(Endless(2), Cancel)).RetryAfter.TotalSeconds, 1, 60);
            Assert.Equal(1, scheduler.State.Waiting);
            Thread.Sleep(60);
        }

        await Assert.ThrowsAsync<TimeoutException>(() => All(waiting));
        await Assert.ThrowsAsync<TimeoutException>(() => waiting.Admitted);
        held.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Single(await All(scheduler.Submit(new() { Prompt = Prompt(5, 0), Options = new() { MaxTokens = 1 } }, Cancel)));
    }

    [Fact]
    public async Task Who_gives_up_frees_his_pages_at_once()
    {
        using var scheduler = New(new() { SharePrefixes = false });
        foreach (int how in (int[])[0, 1, 2])
        {
            using var cancel = new CancellationTokenSource();
            var stream = scheduler.Submit(Endless(how), cancel.Token);
            await foreach (var token in stream.ReadAsync(CancellationToken.None))
            {
                Assert.True(SpinWait.SpinUntil(() => scheduler.State.PagesUsed > 0, 5000));
                if (how == 0)
                    break;
                if (how == 1)
                    stream.Cancel();
                else
                    cancel.Cancel();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
                {
                    await Task.Delay(1000, CancellationToken.None);
                    throw new OperationCanceledException();
                });
                break;
            }

            Assert.True(SpinWait.SpinUntil(() => scheduler.State is { PagesUsed: 0, Running: 0 }, 1000));
        }
    }

    [Fact]
    public async Task Draining_lets_what_runs_end_and_takes_no_more()
    {
        var scheduler = New();
        var ends = All(scheduler.Submit(new() { Prompt = Prompt(100, 0), Options = new() { MaxTokens = 50, EosIds = [] } }, Cancel));
        var drained = scheduler.DrainAsync(TimeSpan.FromMinutes(1));
        Assert.Throws<DrainingException>(() => scheduler.Submit(Endless(0), Cancel));
        await drained;
        Assert.Equal(50, (await ends).Count);
        scheduler.Dispose();
        scheduler.Dispose();

        using var hurried = New(new() { ContextTokens = 512 });
        var endless = All(hurried.Submit(Endless(1) with { Options = new() { EosIds = [], MaxTokens = 500 } }, Cancel));
        await hurried.DrainAsync(TimeSpan.Zero);
        await Assert.ThrowsAsync<DrainingException>(() => endless);
        Assert.True(hurried.State.Draining);
    }

    private Scheduler New(SchedulerOptions? options = null) => new(model, options ?? new());

    private long PageBytes => model.Transformer.NewPool(1).PageBytes;

    private static int[] Prompt(int tokens, int kind) => [.. Enumerable.Range(0, tokens).Select(i => 5 + (i * (3 + kind) + kind) % 4000)];

    private static GenerationRequest Endless(int kind) => new() { Prompt = Prompt(20, kind), Options = new() { EosIds = [] } };

    // Short and long, some with a common beginning, under all kinds of drop, greedy and drawn.
    private static GenerationRequest Request(int i) => new()
    {
        Prompt = (int[])[.. Prompt(140, i % 3), .. Prompt(i * 13 % 90, i)],
        Options = new() { MaxTokens = 10 + i * 7 % 60, Temperature = i % 2, Seed = (ulong)i, EosIds = [], LogProbs = i % 3 == 0 ? 0 : null },
        Drop = Drops[i % 4],
    };

    private string Alone(GenerationRequest request) => Alone(model, request);

    private static string Alone(MoeModel model, GenerationRequest request)
    {
        using var session = model.NewSession();
        if (request.Drop is { } drop)
            session.Drop = drop;
        session.Append(request.Prompt.Span);
        return Text(session.Generate(request.Options, Cancel));
    }

    private static async Task<(string Text, RequestUsage Usage)> Read(Scheduler scheduler, GenerationRequest request)
    {
        var stream = scheduler.Submit(request, Cancel);
        return (Text((await All(stream)).Select(t => t.Token)), stream.Usage);
    }

    private static async Task<List<ChoiceToken>> All(RequestStream stream)
    {
        List<ChoiceToken> tokens = [];
        await foreach (var token in stream.ReadAsync(Cancel))
            tokens.Add(token);
        return tokens;
    }

    // With log-probabilities, so that bits count.
    private static string Text(IEnumerable<GeneratedToken> tokens) => string.Join(' ', tokens.Select(t => $"{t.Id}:{t.LogProb:R}"));

    private static string Text(IEnumerable<int> ids) => string.Join(' ', ids.Select(id => $"{id}:"));
}

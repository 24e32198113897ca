using DualSparse.Engine;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Engine.Serving;

/// <summary>One loaded model for all tests of sessions.</summary>
public sealed class LoadedModel : IDisposable
{
    public MoeModel Model { get; } = MoeModel.Load(TestPaths.Model);

    public void Dispose() => Model.Dispose();
}

public class SessionTests(LoadedModel loaded) : IClassFixture<LoadedModel>
{
    private static readonly GenerationOptions Greedy = new() { MaxTokens = 12 };
    private readonly MoeModel model = loaded.Model;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void The_texts_of_tokens_are_the_text_of_their_ids()
    {
        using var session = model.NewSession();
        var generation = session.Generate("The city of", Greedy, Cancel);
        Assert.Throws<InvalidOperationException>(() => generation.Summary);
        var tokens = generation.ToArray();
        Assert.Equal(12, tokens.Length);
        Assert.Equal(model.Tokenizer.Decode([.. tokens.Select(t => t.Id)]), string.Concat(tokens.Select(t => t.Text)));
        Assert.Equal(FinishReason.MaxTokens, tokens[^1].Finish);
        Assert.All(tokens[..^1], t => Assert.Null(t.Finish));
        int prompt = model.Tokenizer.Encode("The city of").Length;
        Assert.Equal((prompt, 12, prompt + 12), (generation.Summary.PromptTokens, generation.Summary.GeneratedTokens, generation.Summary.ContextTokens));
        Assert.Throws<InvalidOperationException>(() => generation.GetEnumerator());
    }

    [Fact]
    public void Turns_are_the_same_as_one_text_at_once()
    {
        int[] first = model.Tokenizer.Encode("Once upon a time"), second = model.Tokenizer.Encode(" there was");
        using var turns = model.NewSession();
        turns.Append(first);
        int[] written = Ids(turns.Generate(Greedy, Cancel));
        turns.Append(second);
        var again = turns.Generate(Greedy, Cancel);
        int[] then = Ids(again);
        // Only what hadn't been through the model went through it: the last token written, and the second text.
        Assert.Equal(1 + second.Length, again.Summary.PromptTokens);

        using var once = model.NewSession();
        once.Append([.. first, .. written, .. second]);
        Assert.Equal(then, Ids(once.Generate(Greedy, Cancel)));
        Assert.Equal(once.Ids.ToArray(), turns.Ids.ToArray());
    }

    // Latent attention chooses its way by the whole turn (LatentHeads.AbsorbedIsCheaper): 36 tokens after 60 are expanded, four of them or the
    // last twelve would go to the latents.
    [Fact]
    public void A_turn_is_one_in_any_chunks_and_after_an_interruption()
    {
        using var folder = TemporaryFolder.CopyOf("deepseek_v2");
        File.Copy(Path.Combine(TestPaths.Model, "tokenizer.json"), folder.File("tokenizer.json"));
        int[] context = [.. Enumerable.Range(5, 60)], turn = [.. Enumerable.Range(100, 35)];
        float?[] whole = Generated(64, interrupted: false);
        Assert.Equal(whole, Generated(4, interrupted: false));
        Assert.Equal(whole, Generated(4, interrupted: true));

        float?[] Generated(int chunk, bool interrupted)
        {
            using var latent = MoeModel.Load(folder.Path, new EngineOptions { ChunkTokens = chunk });
            using var session = latent.NewSession();
            session.Append(context);
            var options = new GenerationOptions { MaxTokens = 1, LogProbs = 0 };
            Assert.Single(session.Generate(options, Cancel));
            session.Append(turn);
            var expected = session.CachedTokens..session.Ids.Length;
            if (interrupted)
            {
                // As when it is cancelled after six of nine chunks.
                session.Appended = expected;
                latent.Transformer.Forward([new SequenceChunk(session.Cache, session.Ids.Slice(session.CachedTokens, 24).ToArray(), LogitRows.None, Appended: expected)]);
            }

            float?[] found = [.. session.Generate(options, Cancel).Select(t => t.LogProb)];
            Assert.Equal(expected, session.Appended);
            return found;
        }
    }

    [Fact]
    public void Replacing_keeps_the_work_of_a_common_beginning()
    {
        using var session = model.NewSession();
        session.Append([5, 6, 7, 8, 9, 10]);
        Ids(session.Generate(Greedy, Cancel));
        session.Replace([5, 6, 7, 8, 11]);
        Assert.Equal(4, session.CachedTokens);
        int[] replaced = Ids(session.Generate(Greedy, Cancel));

        using var fresh = model.NewSession();
        fresh.Append([5, 6, 7, 8, 11]);
        Assert.Equal(Ids(fresh.Generate(Greedy, Cancel)), replaced);
    }

    [Fact]
    public void A_truncated_session_writes_the_same_again()
    {
        using var session = model.NewSession();
        session.Append([5, 6, 7]);
        int[] first = Ids(session.Generate(Greedy, Cancel));
        session.Truncate(3);
        Assert.Equal(first, Ids(session.Generate(Greedy, Cancel)));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Truncate(1000));
    }

    [Fact]
    public void Chunks_and_threads_change_nothing()
    {
        int[] prompt = [.. Enumerable.Range(1, 70)];
        var options = new GenerationOptions { MaxTokens = 20, Temperature = 1, Seed = 11, LogProbs = 3 };
        var expected = Tokens(model);
        foreach (var engine in new[] { new EngineOptions { ChunkTokens = 7, Threads = 1 }, new EngineOptions { ChunkTokens = 64, Threads = 3 } })
        {
            using var other = MoeModel.Load(TestPaths.Model, engine);
            var tokens = Tokens(other);
            Assert.Equal(expected.Select(t => (t.Id, t.LogProb)), tokens.Select(t => (t.Id, t.LogProb)));
        }

        GeneratedToken[] Tokens(MoeModel of)
        {
            using var session = of.NewSession();
            session.Append(prompt);
            return [.. session.Generate(options, Cancel)];
        }
    }

    [Fact]
    public void A_stop_string_is_not_shown_nor_what_follows()
    {
        string whole = Text(Greedy);
        // From the middle of one token to the middle of another.
        string stop = whole[5..14];
        using var session = model.NewSession();
        var generation = session.Generate("The city of", Greedy with { StopStrings = ["never written", stop] }, Cancel);
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], generation.ReadToEnd());
        Assert.Equal((FinishReason.StopString, stop), (generation.Summary.Finish, generation.Summary.StopString));
    }

    [Fact]
    public void An_end_of_text_id_ends_and_says_nothing()
    {
        using var session = model.NewSession();
        int[] ids = Ids(session.Generate("The city of", Greedy, Cancel));
        int at = Array.IndexOf(ids, ids[4]);
        using var ending = model.NewSession();
        var generation = ending.Generate("The city of", Greedy with { EosIds = [ids[4], 4095] }, Cancel);
        Assert.Equal(ids[..(at + 1)], Ids(generation));
        Assert.Equal(FinishReason.EndOfText, generation.Summary.Finish);
    }

    [Fact]
    public void Log_probabilities_are_of_the_models_own_distribution()
    {
        using var session = model.NewSession();
        session.Append([5, 6, 7]);
        var tokens = session.Generate(Greedy with { LogProbs = model.Config.VocabSize }, Cancel).ToArray();
        Assert.All(tokens, t =>
        {
            Assert.Equal(t.Alternatives[0], new TokenLogProb(t.Id, t.LogProb!.Value));
            Assert.Equal(1, t.Alternatives.Sum(a => Math.Exp(a.LogProb)), 1e-4);
        });
    }

    [Fact]
    public void Cancelling_leaves_the_session_usable()
    {
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        using var session = model.NewSession();
        session.Append([5, 6, 7]);
        List<int> written = [];
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (var token in session.Generate(Greedy, source.Token))
            {
                written.Add(token.Id);
                if (written.Count == 4)
                    source.Cancel();
            }
        });
        Assert.Equal([5, 6, 7, .. written], session.Ids.ToArray());
        int[] rest = Ids(session.Generate(Greedy with { MaxTokens = 8 }, Cancel));

        using var fresh = model.NewSession();
        fresh.Append([5, 6, 7]);
        Assert.Equal(Ids(fresh.Generate(Greedy, Cancel)), written.Concat(rest));
    }

    [Fact]
    public void A_prompt_past_the_context_names_both_numbers()
    {
        using var session = model.NewSession();
        var error = Assert.Throws<ArgumentException>(() => session.Append(new int[600]));
        Assert.Equal("the prompt has 600 tokens, expected at most 512, the model's longest", error.Message);
        session.Append(new int[500]);
        error = Assert.Throws<ArgumentException>(() => session.Append(new int[13]));
        Assert.StartsWith("13 more tokens make the context 513 tokens long, expected at most 512", error.Message, StringComparison.Ordinal);
        Assert.StartsWith("a context of 513 tokens", Assert.Throws<ArgumentException>(() => model.NewSession(513)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => session.Append([4096]));
    }

    [Fact]
    public void A_context_that_memory_cannot_hold_is_refused_and_nothing_is_lost()
    {
        int[] prompt = [.. Enumerable.Range(5, 130)];
        using var session = model.NewSession();
        session.Append(prompt);
        int[] first = Ids(session.Generate(Greedy, Cancel));
        // The third page of 128 is the first that can't be had.
        session.Append(prompt);
        session.Cache.FreeBytes = () => 1000;
        int cached = session.CachedTokens;
        var error = Assert.Throws<InsufficientMemoryException>(() => Ids(session.Generate(Greedy, Cancel)));
        Assert.Matches(@"of 1\d\d more tokens of context need \d.* is free", error.Message);
        Assert.Equal(cached, session.CachedTokens);
        Assert.Equal([.. prompt, .. first, .. prompt], session.Ids.ToArray());
        session.Cache.FreeBytes = () => long.MaxValue;
        int[] second = Ids(session.Generate(Greedy, Cancel));

        using var free = model.NewSession();
        free.Append([.. prompt, .. first, .. prompt]);
        Assert.Equal(second, Ids(free.Generate(Greedy, Cancel)));
    }

    [Fact]
    public void A_full_context_ends_the_generation()
    {
        using var session = model.NewSession(contextTokens: 10);
        session.Append([5, 6, 7, 8, 9, 10]);
        var generation = session.Generate(Greedy with { MaxTokens = null }, Cancel);
        Assert.Equal(4, Ids(generation).Length);
        Assert.Equal(FinishReason.ContextFull, generation.Summary.Finish);
        var another = session.Generate(Greedy, Cancel);
        Assert.Empty(another);
        Assert.Equal((FinishReason.ContextFull, 1, 0), (another.Summary.Finish, another.Summary.PromptTokens, another.Summary.GeneratedTokens));
    }

    [Fact]
    public void An_empty_context_begins_with_the_token_that_opens_a_text()
    {
        using var session = model.NewSession();
        Assert.Equal(12, Ids(session.Generate("", Greedy, Cancel)).Length);
        Assert.Equal(0, session.Ids[0]);
    }

    [Fact]
    public void Sessions_take_turns_and_stream_asynchronously()
    {
        string expected = Text(Greedy);
        var texts = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            using var session = model.NewSession();
            string text = "";
            await foreach (var token in session.Generate("The city of", Greedy, Cancel).AsAsync())
                text += token.Text;
            return text;
        })).ToArray();
        Assert.All(texts, t => Assert.Equal(expected, t.GetAwaiter().GetResult()));
    }

    [Fact]
    public async Task What_a_loop_is_told_to_cancel_by_ends_it()
    {
        using var session = model.NewSession();
        using var cancel = new CancellationTokenSource();
        int seen = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var token in session.Generate("The city of", Greedy, Cancel).AsAsync().WithCancellation(cancel.Token))
            {
                if (++seen == 3)
                    cancel.Cancel();
            }
        });
        Assert.Equal(3, seen);
        Assert.Equal(12, session.Generate(Greedy, Cancel).Count());
    }

    [Fact]
    public async Task Who_cancels_finds_the_own_token_in_the_exception()
    {
        using var session = model.NewSession();
        using var cancel = new CancellationTokenSource();
        var thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var token in session.Generate("The city of", Greedy, cancel.Token).AsAsync(Cancel))
                cancel.Cancel();
        });
        Assert.Equal(cancel.Token, thrown.CancellationToken);
    }

    [Fact]
    public void A_generation_whose_context_has_changed_ends_with_an_error()
    {
        using var session = model.NewSession();
        using var first = session.Generate("The city of", Greedy, Cancel).GetEnumerator();
        Assert.True(first.MoveNext());
        using var second = session.Generate(Greedy, Cancel).GetEnumerator();
        Assert.True(second.MoveNext());
        Assert.Throws<InvalidOperationException>(() => first.MoveNext());
        session.Append([7]);
        Assert.Throws<InvalidOperationException>(() => second.MoveNext());
    }

    [Fact]
    public void The_models_own_end_of_text_ends_it_unless_told_otherwise()
    {
        using var session = model.NewSession();
        int[] ids = Ids(session.Generate("The city of", Greedy, Cancel));
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        File.WriteAllText(folder.File("generation_config.json"), $$"""{"eos_token_id": [{{ids[4]}}]}""");
        int end = Array.IndexOf(ids, ids[4]) + 1;
        using var ending = MoeModel.Load(folder.Path);
        using var other = ending.NewSession();
        Assert.Equal(ids[..end], Ids(other.Generate("The city of", new() { MaxTokens = 12 }, Cancel)));
        other.Truncate(0);
        Assert.Equal(ids, Ids(other.Generate("The city of", new() { MaxTokens = 12, EosIds = [] }, Cancel)));
    }

    [Fact]
    public void What_is_disposed_says_so()
    {
        var brief = MoeModel.Load(TestPaths.Model);
        using var session = brief.NewSession();
        session.Append([5]);
        brief.Dispose();
        Assert.Contains(nameof(MoeModel), Assert.Throws<ObjectDisposedException>(() => brief.NewSession()).Message);
        Assert.Contains(nameof(MoeModel), Assert.Throws<ObjectDisposedException>(() => session.Generate(Greedy, Cancel).Count()).Message);
        session.Dispose();
        Assert.Contains(nameof(Session), Assert.Throws<ObjectDisposedException>(() => session.Append([5])).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => MoeModel.Load(TestPaths.Model, new EngineOptions { ChunkTokens = 0 }));
    }

    [Fact]
    public void The_checkpoints_defaults_are_taken()
    {
        Assert.Equal((0.8f, 0.95f), (model.Defaults.Temperature, model.Defaults.TopP));
        Assert.Equal([0], model.Defaults.EosIds);
    }

    private string Text(GenerationOptions options)
    {
        using var session = model.NewSession();
        return session.Generate("The city of", options, Cancel).ReadToEnd();
    }

    private static int[] Ids(Generation generation) => [.. generation.Select(t => t.Id)];
}

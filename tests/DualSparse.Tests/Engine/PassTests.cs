using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Serving;
using DualSparse.Kernels;

namespace DualSparse.Tests.Engine;

/// <summary>What changes belongs to a pass and its texts: weights are nobody's, and a pass that fails has not been.</summary>
public class PassTests
{
    private static readonly int[] s_ids = [.. Enumerable.Range(3, 100)];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // In turn, token by token, on one model.
    [Fact]
    public void Sessions_with_drops_of_their_own_write_what_each_writes_alone()
    {
        DropRequest[] drops = [DropRequest.None, new() { Rate = 0.3 }, new() { Rate = 0.6 }, new() { Thresholds = new(0.1f, 0.14f) }];
        var options = new GenerationOptions { MaxTokens = 40, LogProbs = 0 };
        using var model = MoeModel.Load(TestPaths.Model);
        var alone = drops.Select(drop => Write([drop])[0]).ToArray();
        var together = Write(drops);
        for (int i = 0; i < drops.Length; i++)
        {
            Assert.Equal(alone[i].Tokens, together[i].Tokens);
            Assert.Equal(alone[i].Work, together[i].Work);
        }

        Assert.Equal(drops.Length, alone.Select(run => string.Join(' ', run.Tokens)).Distinct().Count());

        List<(List<(int Id, float? LogProb)> Tokens, DropCounts Work)> Write(IReadOnlyList<DropRequest> drops)
        {
            var sessions = drops.Select(_ => model.NewSession()).ToArray();
            var streams = sessions.Zip(drops, (session, drop) =>
            {
                session.Drop = drop;
                return session.Generate("The city of", options, Cancel).GetEnumerator();
            }).ToArray();
            var written = drops.Select(_ => new List<(int, float?)>()).ToArray();
            for (bool more = true; more;)
            {
                more = false;
                for (int i = 0; i < streams.Length; i++)
                {
                    if (!streams[i].MoveNext())
                        continue;
                    written[i].Add((streams[i].Current.Id, streams[i].Current.LogProb));
                    more = true;
                }
            }

            List<(List<(int, float?)>, DropCounts)> runs = [.. written.Zip(sessions, (tokens, session) => (tokens, session.Dropped))];
            foreach (var session in sessions)
                session.Dispose();
            return runs;
        }
    }

    // Each on a thread of its own, drops set while others' passes run.
    [Fact]
    public void Sessions_on_threads_of_their_own_write_what_each_writes_alone()
    {
        using var model = MoeModel.Load(TestPaths.Model);
        double[] rates = [0, 0.3, 0.6];
        var alone = rates.Select(Write).ToArray();
        Assert.Equal(alone, rates.AsParallel().AsOrdered().WithDegreeOfParallelism(rates.Length).Select(Write).ToArray());

        string Write(double rate)
        {
            using var session = model.NewSession();
            session.Append([.. Enumerable.Range(100, 90)]);
            List<string> tokens = [];
            foreach (var token in session.Generate(new GenerationOptions { MaxTokens = 24, LogProbs = 0 }, Cancel))
            {
                tokens.Add($"{token.Id} {token.LogProb}");
                session.Drop = new DropRequest { Rate = tokens.Count < 8 ? rate : rate / 2 };
            }

            return $"{string.Join(' ', tokens)} {session.Dropped}";
        }
    }

    [Fact]
    public void Texts_of_one_batch_have_drops_of_their_own()
    {
        using var model = Load();
        DropRequest?[] drops = [null, new() { Rate = 0.3 }, new() { Thresholds = new(0.2f, 0.3f) }];
        var alone = drops.Select((drop, i) => Run([drop])[0]).ToArray();
        var together = Run(drops);
        Assert.All(alone.Zip(together), pair => Assert.Equal(pair.First, pair.Second));
        Assert.NotEqual(alone[0], alone[1]);

        float[][] Run(DropRequest?[] drops)
        {
            var caches = drops.Select(_ => model.NewCache(128)).ToArray();
            float[] logits = model.Forward([.. drops.Select((drop, i) => new SequenceChunk(caches[i], s_ids, LogitRows.All, Drop: drop is null ? null : model.NewText(drop)))]).ToArray();
            Array.ForEach(caches, c => c.Dispose());
            return [.. logits.Chunk(logits.Length / drops.Length)];
        }
    }

    [Fact]
    public void A_drop_set_during_a_generation_holds_from_the_next_token_on()
    {
        using var model = MoeModel.Load(TestPaths.Model);
        using var session = model.NewSession();
        session.Append([5, 6, 7]);
        var options = new GenerationOptions { MaxTokens = 30, LogProbs = 0 };
        List<(int Id, float? LogProb)> tokens = [];
        foreach (var token in session.Generate(options, Cancel))
        {
            tokens.Add((token.Id, token.LogProb));
            if (tokens.Count == 10)
                session.Drop = new DropRequest { Thresholds = new(0.12f, 0.15f) };
        }

        using var first = model.NewSession();
        first.Append([5, 6, 7]);
        var before = first.Generate(options with { MaxTokens = 10 }, Cancel).Select(t => (t.Id, t.LogProb)).ToList();
        first.Drop = new DropRequest { Thresholds = new(0.12f, 0.15f) };
        var after = first.Generate(options with { MaxTokens = 20 }, Cancel).Select(t => (t.Id, t.LogProb)).ToList();
        Assert.Equal(tokens, before.Concat(after));
        // Ten tokens and the prompt in full, then the last of them and nineteen more.
        Assert.True(session.Dropped.Rate > 0.05);
        Assert.Equal(session.Dropped, first.Dropped);
    }

    // A new rate by the same thresholds goes on from what was seen; the same one changes nothing at all.
    [Fact]
    public void A_rate_set_again_forgets_nothing()
    {
        using var model = MoeModel.Load(TestPaths.Model);
        Assert.Equal(Write(set: false), Write(set: true));

        List<(int, float?)> Write(bool set)
        {
            using var session = model.NewSession();
            session.Drop = new DropRequest { Rate = 0.4 };
            session.Append([.. Enumerable.Range(100, 150)]);
            List<(int, float?)> tokens = [];
            foreach (var token in session.Generate(new GenerationOptions { MaxTokens = 20, LogProbs = 0 }, Cancel))
            {
                tokens.Add((token.Id, token.LogProb));
                if (set)
                    session.Drop = new DropRequest { Rate = 0.4 };
            }

            return tokens;
        }
    }

    [Fact]
    public void One_cache_or_one_text_twice_in_a_batch_is_an_error_that_says_so()
    {
        using var model = Load();
        using KvCache cache = model.NewCache(64), other = model.NewCache(64);
        int[] ids = [1, 2, 3];
        var error = Assert.Throws<ArgumentException>(() => model.Forward([new SequenceChunk(other, ids), new SequenceChunk(cache, ids), new SequenceChunk(cache, ids)]).Length);
        Assert.Equal("chunks 1 and 2 of the batch have the same cache, expected each sequence once: its tokens go into one chunk", error.Message);
        var text = model.NewText();
        error = Assert.Throws<ArgumentException>(() => model.Forward([new SequenceChunk(cache, ids, Drop: text), new SequenceChunk(other, ids, Drop: text)]).Length);
        Assert.StartsWith("chunks 0 and 1 of the batch have the same text's drop", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<ArgumentException>(() => model.Forward([new SequenceChunk(cache, ids, Drop: new TextDrop(text.Plan, layers: 9))]).Length);
        Assert.StartsWith("the text's drop is planned for 9 layers", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (cache.Length, other.Length));
        // A rank without requests of its own still walks the layers.
        Assert.Equal(0, model.Forward([]).Length);
    }

    [Theory]
    [InlineData("cancelled")]
    [InlineData("thrown")]
    [InlineData("no memory")]
    [InlineData("no pages")]
    public void A_pass_that_fails_half_way_leaves_everything_as_it_was(string how)
    {
        var drop = new DropRequest { Rate = 0.4 };
        using var model = Load();
        var (expectedLogits, expectedWork) = Run(fail: false);
        var (logits, work) = Run(fail: true);
        Assert.Equal(expectedLogits, logits);
        Assert.Equal(expectedWork, work);

        (float[] Logits, DropCounts[] Work) Run(bool fail)
        {
            using var cache = model.NewCache(256);
            var text = model.NewText(drop);
            model.Forward(cache, s_ids.AsSpan(0, 40), LogitRows.None, text);
            var before = (cache.Length, text.Followed, text.Counts);
            for (int layer = 0; fail && layer < model.Config.Layers; layer++)
            {
                Fail(cache, text, layer);
                Assert.Equal(before, (cache.Length, text.Followed, text.Counts));
            }

            float[] logits = model.Forward(cache, s_ids.AsSpan(40), LogitRows.All, text).ToArray();
            return (logits, [.. text.Layers]);
        }

        // The tokens are others than those that follow, so that what stays of them would be seen.
        void Fail(KvCache cache, TextDrop text, int layer)
        {
            using var source = new CancellationTokenSource();
            SequenceChunk[] batch = [new(cache, Enumerable.Range(200, 50).ToArray(), LogitRows.All, Drop: text)];
            if (how == "no pages")
            {
                // Pages for more than a first one.
                cache.FreeBytes = () => 1;
                Assert.Throws<InsufficientMemoryException>(() => model.Forward([batch[0] with { Ids = new int[150] }]).Length);
                cache.FreeBytes = () => long.MaxValue;
                return;
            }

            var watch = new PassWatch
            {
                Routed = (at, _) =>
                {
                    if (at != layer)
                        return;
                    if (how == "thrown")
                        throw new InvalidOperationException("half-way");
                    if (how == "no memory")
                        throw new OutOfMemoryException("as the layer's products would");
                    source.Cancel();
                },
            };
            if (how == "thrown")
                Assert.Throws<InvalidOperationException>(() => model.Forward(batch, watch).Length);
            else if (how == "no memory")
                Assert.Throws<OutOfMemoryException>(() => model.Forward(batch, watch).Length);
            else
                Assert.ThrowsAny<OperationCanceledException>(() => model.Forward(batch, watch, source.Token).Length);
        }
    }

    private static Transformer Load() => Transformer.Load(TestPaths.Golden("olmoe"), new EngineOptions { Weights = WeightFormat.F32, Threads = 2 });
}

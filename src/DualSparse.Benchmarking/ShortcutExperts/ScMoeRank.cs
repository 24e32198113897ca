using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Benchmarking.ShortcutExperts;

/// <summary>A pair of layers as a rank has run it.</summary>
/// <param name="Spans">What its operators took, in seconds from the beginning, waits apart.</param>
/// <param name="Travels">When its rows were on their way, in seconds from the beginning: sent, come, answered, back; and the time of its own share.</param>
/// <param name="Bits">Those of the result.</param>
/// <param name="SentBytes">What it has sent.</param>
/// <param name="Pairs">Token-expert pairs that its experts have computed.</param>
internal sealed record ScMoeRun(IReadOnlyList<ScMoeSpan> Spans, IReadOnlyList<double[]> Travels, ulong Bits, long SentBytes, long Pairs)
{
    /// <summary>From the beginning to the last operator's end.</summary>
    public double Seconds => Spans[^1].To;

    /// <summary>What of that is waited.</summary>
    public double Waited => Seconds - Spans.Where(span => !span.Waiting).Sum(span => span.To - span.From);

    /// <summary>What an operator computes.</summary>
    /// <param name="step">Its place in the order.</param>
    public double Computing(int step) => Spans.Where(span => span.Step == step && !span.Waiting).Sum(span => span.To - span.From);
}

/// <summary>A time that an operator computes or waits.</summary>
/// <param name="Step">Its place in the order.</param>
/// <param name="Waiting">Whether it waits.</param>
/// <param name="From">Seconds since the beginning.</param>
/// <param name="To">The end.</param>
internal readonly record struct ScMoeSpan(int Step, bool Waiting, double From, double To);

/// <summary>This process as one of the ranks: every variant's layers by one set of random weights, and the engine's own operators over them.</summary>
internal sealed unsafe class ScMoeRank : IDisposable
{
    private readonly RankGroup group;
    private readonly ScMoeSetting setting;
    private readonly Rendezvous rendezvous;
    private readonly RankMeeting meeting;
    private readonly RandomCheckpoint folder;
    private readonly Checkpoint checkpoint;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly Pass pass;
    private readonly KvCache cache;
    private readonly LayerWeights[] layers;
    private readonly OperatorClock clock = new();
    private readonly int[] rows;
    private readonly float[] input;

    /// <summary>Makes this rank's weights.</summary>
    public ScMoeRank(RankGroup group, ScMoeSetting setting)
    {
        (this.group, this.setting, rendezvous) = (group, setting, new Rendezvous(group));
        meeting = new RankMeeting(group, new EngineOptions());
        // Every tensor that a variant has.
        folder = RandomCheckpoint.Write((ScMoeVariant.Plain with { Shared = true }).Json(setting.Hidden, setting.Tokens, setting.Experts), "a pair of layers", setting.Weights);
        checkpoint = Checkpoint.Open(folder.Folder);
        team = new ThreadTeam(setting.Threads);
        work = new Workspace(team, KernelSet.Best());
        pass = new Pass(checkpoint.Config, work);
        var options = new EngineOptions { Weights = setting.Weights, Rank = group.Rank, Ranks = group.Size, Placement = (_, experts) => ExpertPlacement.Blocks(group.Size, experts), Peers = meeting.Peers };
        var loader = new ModelLoader(checkpoint, options, team);
        layers = [loader.LoadLayer(0), loader.LoadLayer(1)];
        cache = new KvCache(checkpoint.Config, setting.Weights, setting.Tokens);
        KvCache.Reserve([new SequenceChunk(cache, new int[setting.Tokens])]);
        rows = [.. Enumerable.Repeat(setting.Tokens, group.Size)];
        var random = new Random(7 + group.Rank);
        input = [.. Enumerable.Range(0, setting.Tokens * setting.Hidden).Select(_ => random.NextSingle() * 2 - 1)];
    }

    /// <summary>Runs a variant in an order of its operators; all ranks do so together.</summary>
    /// <returns>Rank 0: every rank's run. Another: nothing.</returns>
    public ScMoeRun[] Run(ScMoeVariant variant, Operator[] order)
    {
        var moe = layers[1].Moe!.With(variant.Config(setting.Hidden, setting.Tokens, setting.Experts).Moe!);
        LayerWeights[] wired = [layers[0], layers[1] with { Moe = moe }];
        meeting.Exchange!.BeginPass(rows);
        meeting.Exchange.Overlaps = variant.Overlaps;
        long pairs = 0;
        pass.Begin([new Segment(cache, 0, setting.Tokens)], new PassWatch { Routed = (_, plan) => pairs += plan.Experts.Length });
        input.CopyTo(new Span<float>(pass.Stream(0), input.Length));
        clock.Clear();
        pass.Clock = clock;
        // Who has waited long sleeps, and wakes late; at the second nobody has.
        rendezvous.Barrier();
        rendezvous.Barrier();
        long sent = group.SentBytes, began = Stopwatch.GetTimestamp();
        LayerProgram.Run(order, l => wired[l], pass, CancellationToken.None);
        pass.Clock = null;
        sent = group.SentBytes - sent;
        ulong bits = BitConverter.ToUInt64(SHA256.HashData(MemoryMarshal.AsBytes(new ReadOnlySpan<float>(pass.Stream(0), input.Length))));
        double[] numbers = Numbers(order, began, bits, sent, pairs);
        return [.. rendezvous.Gather(numbers).Select(Read)];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        cache.Dispose();
        Array.ForEach(layers, layer => layer.Dispose());
        pass.Dispose();
        work.Dispose();
        team.Dispose();
        checkpoint.Dispose();
        folder.Dispose();
        meeting.Dispose();
    }

    // A wait for a message that has come is none. As many numbers on every rank: spans are added up where there are many.
    private double[] Numbers(Operator[] order, long began, ulong bits, long sent, long pairs)
    {
        List<ScMoeSpan> spans = [];
        foreach (var span in clock.Spans)
        {
            var next = new ScMoeSpan(Array.IndexOf(order, span.Step), span.Waiting, Seconds(span.From - began), Seconds(span.To - began));
            if (next.To <= next.From || spans.Count == MostSpans)
                continue;
            if (spans.Count > 0 && spans[^1].Step == next.Step && spans[^1].Waiting == next.Waiting)
                spans[^1] = spans[^1] with { To = next.To };
            else
                spans.Add(next);
        }

        double[] numbers = new double[Fixed + 4 * MostSpans + OfTravel * MostTravels];
        (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]) = (spans.Count, clock.Travels.Count, bits >> 32, bits & uint.MaxValue, sent, pairs);
        for (int i = 0; i < spans.Count; i++)
            (numbers[Fixed + 4 * i], numbers[Fixed + 4 * i + 1], numbers[Fixed + 4 * i + 2], numbers[Fixed + 4 * i + 3]) = (spans[i].Step, spans[i].Waiting ? 1 : 0, spans[i].From, spans[i].To);
        for (int i = 0; i < clock.Travels.Count; i++)
        {
            var way = clock.Travels[i];
            double[] times = [way.Lane.Branch, Seconds(way.Sent - began), Seconds(way.RowsCame - began), Seconds(way.Answered - began), Seconds(way.SumsCame - began), Seconds(way.OwnTicks)];
            times.CopyTo(numbers, Fixed + 4 * MostSpans + OfTravel * i);
        }

        return numbers;
    }

    private static ScMoeRun Read(double[] numbers)
    {
        var spans = new ScMoeSpan[(int)numbers[0]];
        for (int i = 0; i < spans.Length; i++)
            spans[i] = new((int)numbers[Fixed + 4 * i], numbers[Fixed + 4 * i + 1] > 0, numbers[Fixed + 4 * i + 2], numbers[Fixed + 4 * i + 3]);
        double[][] travels = [.. Enumerable.Range(0, (int)numbers[1]).Select(i => numbers[(Fixed + 4 * MostSpans + OfTravel * i)..(Fixed + 4 * MostSpans + OfTravel * (i + 1))])];
        return new ScMoeRun(spans, travels, ((ulong)numbers[2] << 32) | (ulong)numbers[3], (long)numbers[4], (long)numbers[5]);
    }

    // Operators are cut by waits and chunks of rows.
    private const int MostSpans = 256, MostTravels = 2, OfTravel = 6, Fixed = 6;

    private static double Seconds(long ticks) => (double)ticks / Stopwatch.Frequency;
}

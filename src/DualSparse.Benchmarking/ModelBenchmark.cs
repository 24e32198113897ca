using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>Tokens a second of one test, dense or under a drop.</summary>
/// <param name="Test">"prompt", "generate" or "generate × n": n streams, one token of each in a pass.</param>
/// <param name="Tokens">The number of tokens, of each stream.</param>
/// <param name="DropRate">The counted share of the routed experts' work that was dropped.</param>
/// <param name="TokensPerSecond">Median over the rounds.</param>
/// <param name="FloorTokensPerSecond">The roofline by the ceilings of the same run (<see cref="ModelRoofline"/>).</param>
/// <param name="TimeRatio">time(r)/time(0): the median over rounds of the ratio within a round; 1 for the dense run.</param>
/// <param name="TimeRatioLow">The 95 % interval of this median, by order statistics: its lower end …</param>
/// <param name="TimeRatioHigh">… and its upper end.</param>
/// <param name="FloorRatio">The ratio of the roofline times, floor(r)/floor(0), which includes the rest of the model.</param>
internal sealed record ModelResult(
    string Test, int Tokens, double DropRate, double TokensPerSecond, double FloorTokensPerSecond, double TimeRatio, double TimeRatioLow, double TimeRatioHigh, double FloorRatio)
{
    /// <summary>Of several ranks: the same beside them in one process; null: there is no such run.</summary>
    public Alone? OneProcess { get; init; }
}

/// <summary>The same work in one process with all cores of the machine, between the rounds of several ranks.</summary>
/// <param name="TokensPerSecond">Median over the rounds.</param>
/// <param name="Ratio">Ranks' speed over this: the median over rounds of the ratio within a round.</param>
/// <param name="RatioLow">The 95 % interval of this median, by order statistics: its lower end …</param>
/// <param name="RatioHigh">… and its upper end.</param>
internal sealed record Alone(double TokensPerSecond, double Ratio, double RatioLow, double RatioHigh);

/// <summary>A model's results and the ceilings of the same run.</summary>
/// <param name="Results">One for each test.</param>
/// <param name="ReadGigabytesPerSecond">The best round of reading a gigabyte.</param>
/// <param name="RateGflops">The best round of the strongest instruction.</param>
internal sealed record ModelReport(IReadOnlyList<ModelResult> Results, double ReadGigabytesPerSecond, double RateGflops);

/// <summary>Times a whole model: prompts of given lengths, and tokens generated one by one after a single one.</summary>
internal static class ModelBenchmark
{
    /// <summary>Runs all tests; prompts longer than the model's context are skipped.</summary>
    /// <param name="model">The model; it must not be used otherwise meanwhile.</param>
    /// <param name="prompts">Lengths of prompts.</param>
    /// <param name="generate">Tokens to generate; 0: none.</param>
    /// <param name="rounds">The number of rounds; results are medians.</param>
    /// <param name="streams">Numbers of texts that are generated together.</param>
    /// <param name="drop">The drop of a second run of each round; if it drops nothing, there is no such run.</param>
    /// <param name="alone">Where <paramref name="model"/> is spread over ranks: the same in this process only, which runs in turn with it; null: none.</param>
    /// <param name="cancel">Cancels between two passes.</param>
    /// <exception cref="ArgumentException">There is nothing to time, or the drop doesn't fit the model.</exception>
    public static ModelReport Run(
        Transformer model, IReadOnlyList<int> prompts, int generate, int rounds, IReadOnlyList<int> streams, DropRequest? drop = null, Transformer? alone = null, CancellationToken cancel = default)
    {
        int context = model.Config.MaxPositions;
        if (generate == 0 && prompts.All(p => p > context))
            throw new ArgumentException($"there is nothing to time: no token to generate, and no prompt within the model's context of {context} tokens");
        using var team = new ThreadTeam((alone ?? model).Report.Threads);
        using var ceilings = new Ceilings(team, model.Report.Weights);
        List<Timed> timed = [];
        DropRequest[] plans = drop is null || drop.IsNone ? [DropRequest.None] : [DropRequest.None, drop];
        foreach (int length in prompts.Where(p => p <= context))
            timed.AddRange(Measure(model, alone, plans, ceilings, length, rounds, streams: null, cancel));
        foreach (int count in generate > 0 ? streams : [])
            timed.AddRange(Measure(model, alone, plans, ceilings, Math.Min(generate, context), rounds, count, cancel));

        return new ModelReport(
            [.. timed.Select(t => t.Result(model, ceilings.Best))], ceilings.Best.BytesPerSecond / 1e9, ceilings.Best.OperationsPerSecond / 1e9);
    }

    // Each round runs all plans, one after another. A prompt where there are no streams.
    private static Timed[] Measure(Transformer model, Transformer? alone, DropRequest[] plans, Ceilings ceilings, int tokens, int rounds, int? streams, CancellationToken cancel)
    {
        var random = new Random(1);
        int[][] ids = [.. Enumerable.Range(0, streams ?? 1).Select(_ => Enumerable.Range(0, tokens).Select(_ => random.Next(model.Config.VocabSize)).ToArray())];
        KvCache[] caches = [.. ids.Select(_ => model.NewCache(tokens))], aside = [.. ids.SelectMany(_ => alone is null ? [] : new[] { alone.NewCache(tokens) })];
        try
        {
            var seconds = plans.Select(_ => new List<double>()).ToArray();
            var besides = plans.Select(_ => new List<double>()).ToArray();
            var counts = new DropCounts[plans.Length];
            // The first round warms up: pages, caches, code.
            for (int round = -1; round < rounds; round++)
            {
                ceilings.Probe();
                for (int i = 0; i < plans.Length; i++)
                {
                    var (taken, work) = Pass(model, caches, plans[i], ids, streams is not null, cancel);
                    var (beside, _) = alone is null ? default : Pass(alone, aside, plans[i], ids, streams is not null, cancel);
                    counts[i] += work;
                    if (round < 0)
                        continue;
                    seconds[i].Add(taken);
                    besides[i].Add(beside);
                }
            }

            return [.. plans.Select((_, i) => new Timed(streams, tokens, counts[i].Rate, seconds[i], seconds[0], alone is null ? null : besides[i]))];
        }
        finally
        {
            foreach (var cache in caches.Concat(aside))
                cache.Dispose();
        }
    }

    private static (double Seconds, DropCounts Work) Pass(Transformer model, KvCache[] caches, DropRequest plan, int[][] ids, bool oneByOne, CancellationToken cancel)
    {
        const int chunk = 512;
        foreach (var cache in caches)
            cache.Truncate(0);
        TextDrop[] texts = [.. ids.Select(_ => model.NewText(plan))];
        long start = Stopwatch.GetTimestamp();
        int step = oneByOne ? 1 : chunk, length = ids[0].Length;
        for (int i = 0; i < length; i += step)
        {
            cancel.ThrowIfCancellationRequested();
            var logits = oneByOne || i + step >= length ? LogitRows.Last : LogitRows.None;
            SequenceChunk[] batch = [.. ids.Select((own, s) => new SequenceChunk(caches[s], own.AsMemory(i, Math.Min(step, length - i)), logits, Generated: oneByOne, texts[s]))];
            model.Forward(batch);
        }

        return (Stopwatch.GetElapsedTime(start).TotalSeconds, texts.Aggregate(default(DropCounts), (sum, text) => sum + text.Counts));
    }

    private sealed record Timed(int? Streams, int Tokens, double DropRate, List<double> Seconds, List<double> Dense, List<double>? Beside)
    {
        public ModelResult Result(Transformer model, Ceiling best)
        {
            int pass = Streams ?? Tokens, logits = Streams ?? 1;
            double roofline = best.Seconds(ModelRoofline.Of(model.Config, model.Report.Weights, pass, DropRate, logits));
            double[] ratios = [.. Seconds.Select((s, i) => s / Dense[i])];
            var (low, high) = Statistics.MedianInterval(ratios);
            return new ModelResult(
                Streams switch { null => "prompt", 1 => "generate", _ => $"generate × {Streams}" }, Tokens, DropRate, (double)(Streams ?? 1) * Tokens / Statistics.Median(Seconds), pass / roofline, Statistics.Median(ratios), low, high,
                roofline / best.Seconds(ModelRoofline.Of(model.Config, model.Report.Weights, pass, logits: logits)))
            {
                OneProcess = Beside is null ? null : Ratio(Beside),
            };
        }

        private Alone Ratio(List<double> beside)
        {
            double[] ratios = [.. beside.Zip(Seconds, (alone, together) => alone / together)];
            var (low, high) = Statistics.MedianInterval(ratios);
            return new Alone((Streams ?? 1) * Tokens / Statistics.Median(beside), Statistics.Median(ratios), low, high);
        }
    }
}

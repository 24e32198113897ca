using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarking;

/// <summary>Tokens a second of one test.</summary>
/// <param name="Test">"prompt" or "generate".</param>
/// <param name="Tokens">How many.</param>
/// <param name="TokensPerSecond">Median over the rounds.</param>
/// <param name="FloorTokensPerSecond">What the ceilings of the same run would allow (<see cref="ModelFloor"/>).</param>
public sealed record ModelResult(string Test, int Tokens, double TokensPerSecond, double FloorTokensPerSecond);

/// <summary>A model's results and the ceilings of the same run.</summary>
/// <param name="Results">One for each test.</param>
/// <param name="ReadGigabytesPerSecond">The best round of reading a gigabyte.</param>
/// <param name="RateGflops">The best round of the strongest instruction.</param>
public sealed record ModelReport(IReadOnlyList<ModelResult> Results, double ReadGigabytesPerSecond, double RateGflops);

/// <summary>Times a whole model: prompts of given lengths, and tokens generated one by one after a single one.</summary>
public static class ModelBenchmark
{
    /// <summary>Runs all tests; lengths past the model's context are left out.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Lengths of prompts.</param>
    /// <param name="generate">Tokens to generate; 0: none.</param>
    /// <param name="rounds">Rounds, of which medians are taken.</param>
    /// <param name="cancel">Ends it between two passes.</param>
    /// <exception cref="ArgumentException">Nothing is left to time.</exception>
    public static ModelReport Run(Transformer model, IReadOnlyList<int> prompts, int generate, int rounds, CancellationToken cancel = default)
    {
        int context = model.Config.MaxPositions;
        if (generate == 0 && prompts.All(p => p > context))
            throw new ArgumentException($"there is nothing to time: no token to generate, and no prompt within the model's context of {context} tokens");
        using var team = new ThreadTeam(model.Report.Threads);
        using var ceilings = new Ceilings(team, model.Report.Weights);
        List<(string Test, int Tokens, double Rate, Floor Floor)> timed = [];
        foreach (int length in prompts.Where(p => p <= context))
            timed.Add(("prompt", length, Measure(model, ceilings, length, rounds, oneByOne: false, cancel), ModelFloor.Of(model.Config, model.Report.Weights, length)));
        if (generate > 0)
        {
            int tokens = Math.Min(generate, context);
            timed.Add(("generate", tokens, Measure(model, ceilings, tokens, rounds, oneByOne: true, cancel), ModelFloor.Of(model.Config, model.Report.Weights, 1)));
        }

        var results = timed.Select(t => new ModelResult(
            t.Test, t.Tokens, t.Rate, (t.Test == "prompt" ? t.Tokens : 1) / ceilings.Best.Seconds(t.Floor)));
        return new ModelReport([.. results], ceilings.Best.BytesPerSecond / 1e9, ceilings.Best.OperationsPerSecond / 1e9);
    }

    private static double Measure(Transformer model, Ceilings ceilings, int tokens, int rounds, bool oneByOne, CancellationToken cancel)
    {
        const int chunk = 512;
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => random.Next(model.Config.VocabSize))];
        using var cache = model.NewCache(tokens);
        List<double> rates = [];
        // The first round warms up: pages, caches, code.
        for (int round = -1; round < rounds; round++)
        {
            ceilings.Probe();
            cache.Truncate(0);
            long start = Stopwatch.GetTimestamp();
            int step = oneByOne ? 1 : chunk;
            for (int i = 0; i < tokens; i += step)
            {
                cancel.ThrowIfCancellationRequested();
                var logits = oneByOne || i + step >= tokens ? LogitRows.Last : LogitRows.None;
                model.Forward([new SequenceChunk(cache, ids.AsMemory(i, Math.Min(step, tokens - i)), logits, Generated: oneByOne)]);
            }

            if (round >= 0)
                rates.Add(tokens / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Statistics.Median(rates);
    }
}

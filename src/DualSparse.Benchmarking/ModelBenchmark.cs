using System.Diagnostics;
using DualSparse.Engine;

namespace DualSparse.Benchmarking;

/// <summary>Tokens a second of one test.</summary>
/// <param name="Test">"prompt" or "generate".</param>
/// <param name="Tokens">How many.</param>
/// <param name="TokensPerSecond">Median over the rounds.</param>
public sealed record ModelResult(string Test, int Tokens, double TokensPerSecond);

/// <summary>Times a whole model: prompts of given lengths, and tokens generated one by one after a single one.</summary>
public static class ModelBenchmark
{
    /// <summary>Runs all tests; lengths past the model's context are left out.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Lengths of prompts.</param>
    /// <param name="generate">Tokens to generate; 0: none.</param>
    /// <param name="rounds">Rounds, of which medians are taken.</param>
    public static IReadOnlyList<ModelResult> Run(Transformer model, IReadOnlyList<int> prompts, int generate, int rounds)
    {
        List<ModelResult> results = [];
        foreach (int length in prompts.Where(p => p <= model.Config.MaxPositions))
            results.Add(Measure(model, "prompt", length, rounds, oneByOne: false));
        if (generate > 0)
            results.Add(Measure(model, "generate", Math.Min(generate, model.Config.MaxPositions), rounds, oneByOne: true));
        return results;
    }

    private static ModelResult Measure(Transformer model, string test, int tokens, int rounds, bool oneByOne)
    {
        const int chunk = 512;
        var random = new Random(1);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => random.Next(model.Config.VocabSize))];
        using var cache = model.NewCache(tokens);
        List<double> rates = [];
        // The first round warms up: pages, caches, code.
        for (int round = -1; round < rounds; round++)
        {
            cache.Truncate(0);
            long start = Stopwatch.GetTimestamp();
            int step = oneByOne ? 1 : chunk;
            for (int i = 0; i < tokens; i += step)
                model.Forward(cache, ids.AsSpan(i, Math.Min(step, tokens - i)), oneByOne || i + step >= tokens ? LogitRows.Last : LogitRows.None);
            if (round >= 0)
                rates.Add(tokens / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return new ModelResult(test, tokens, Statistics.Median(rates));
    }
}

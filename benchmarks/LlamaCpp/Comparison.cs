using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Engine;

namespace DualSparse.LlamaCpp;

/// <summary>Two engines' times for the same tokens, round by round.</summary>
/// <param name="Test">"prompt" or "generate × n".</param>
/// <param name="Tokens">Tokens of a round, of all texts together.</param>
/// <param name="Ours">Our seconds, a round each.</param>
/// <param name="Theirs">llama.cpp's seconds in the same rounds.</param>
internal sealed record Pair(string Test, int Tokens, IReadOnlyList<double> Ours, IReadOnlyList<double> Theirs);

/// <summary>Times two engines in turn on one model.</summary>
internal sealed class Comparison(Transformer ours, LlamaModel theirs, Ceilings ceilings, int rounds, CancellationToken cancel)
{
    private const int CheckedTexts = 2;

    // Tokens before a timed prompt: they read nearly every expert, which takes longer than the other engine's threads spin after their
    // last pass. Before generated tokens there are prompts anyway.
    private const int Warming = 32;

    /// <summary>Compares logits: two texts of a prompt and some tokens after it.</summary>
    public Agreement Check(int prompt, int tokens)
    {
        int length = prompt + tokens;
        using var a = new OurTexts(ours, CheckedTexts, length);
        using var b = theirs.NewTexts(CheckedTexts, length);
        return Agreement.Of(a, b, Ids(CheckedTexts, length), prompt, ours.Config.VocabSize);
    }

    /// <summary>Times a prompt.</summary>
    public Pair Prompt(int length) => Measure($"prompt {length}", 1, 0, length, LlamaTexts.MostTokens);

    /// <summary>Times tokens of several texts that follow prompts, one of each text in a pass; the ids are given, so that both do the same.</summary>
    public Pair Generate(int texts, int prompt, int tokens) => Measure($"generate × {texts}", texts, prompt, tokens, 1);

    private Pair Measure(string test, int texts, int before, int timed, int step)
    {
        int length = before + timed;
        int[][] ids = Ids(texts, length);
        using var a = new OurTexts(ours, texts, length);
        using var b = theirs.NewTexts(texts, length);
        (ITexts Engine, List<double> Seconds)[] sides = [(a, []), (b, [])];
        // The first round warms up: pages, caches, code.
        for (int round = -1; round < rounds; round++)
        {
            ceilings.Probe();
            // Who begins changes, so that neither always follows the probe.
            foreach (var (engine, seconds) in round % 2 == 0 ? sides : sides.Reverse())
            {
                double taken = Time(engine);
                if (round >= 0)
                    seconds.Add(taken);
            }
        }

        return new Pair(test, texts * timed, sides[0].Seconds, sides[1].Seconds);

        double Time(ITexts engine)
        {
            engine.Clear();
            if (before == 0)
            {
                Append(engine, 0, Math.Min(Warming, length), LogitRows.Last);
                engine.Clear();
            }

            for (int at = 0; at < before; at += Most(texts))
                Append(engine, at, Math.Min(Most(texts), before - at), LogitRows.Last);
            long start = Stopwatch.GetTimestamp();
            for (int at = before; at < length; at += step)
                Append(engine, at, Math.Min(step, length - at), step == 1 || at + step >= length ? LogitRows.Last : LogitRows.None);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        void Append(ITexts engine, int at, int count, LogitRows logits)
        {
            cancel.ThrowIfCancellationRequested();
            engine.Append([.. ids.Select(own => (ReadOnlyMemory<int>)own.AsMemory(at, count))], logits);
        }
    }

    // A pass has room for so many tokens of each text.
    private static int Most(int texts) => Math.Max(1, LlamaTexts.MostTokens / texts);

    private int[][] Ids(int texts, int length)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, texts).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(ours.Config.VocabSize)).ToArray())];
    }
}

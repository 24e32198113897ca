using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace DualSparse.Engine.Serving;

/// <summary>
/// Chooses the next token. In the order that the <c>transformers</c> library keeps, which is what a generation_config.json means:
/// bias → repetition, frequency and presence penalties → temperature → top-k → top-p (of what top-k left) → min-p → draw. Equal logits: the lower id counts as the
/// better one. For one sequence, one thread.
/// </summary>
internal sealed class Sampler
{
    private static readonly Dictionary<int, float> s_noBias = [];
    private readonly GenerationOptions options;
    private readonly float[] scores;
    private readonly int[] penalisedAt;
    private readonly Dictionary<int, int> chosen = []; // how often
    private readonly Candidate[] candidates;
    private SplitMix64 random;
    private int step;

    /// <summary>Starts the random numbers of a sequence.</summary>
    /// <param name="options">How to choose.</param>
    /// <param name="vocabulary">Logits that each choice is made from.</param>
    /// <exception cref="ArgumentException">An option makes no sense.</exception>
    public Sampler(GenerationOptions options, int vocabulary)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 1);
        options.Check();
        this.options = options;
        Seed = options.Seed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
        random = new SplitMix64(Seed);
        scores = new float[vocabulary];
        penalisedAt = options.RepetitionPenalty == 1 ? [] : new int[vocabulary];
        candidates = options.Temperature == 0 ? [] : new Candidate[vocabulary];
    }

    /// <summary>Where the random numbers started.</summary>
    public ulong Seed { get; }

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">[vocabulary]; minus infinity forbids a token.</param>
    /// <param name="context">The tokens so far, for the repetition penalty.</param>
    /// <returns>The token's id.</returns>
    /// <exception cref="ArgumentException">Another number of logits than the vocabulary's.</exception>
    /// <exception cref="InvalidOperationException">A logit is not a number or infinite, or every token is forbidden.</exception>
    public int Next(ReadOnlySpan<float> logits, ReadOnlySpan<int> context)
    {
        if (logits.Length != scores.Length)
            throw new ArgumentException($"there are {logits.Length} logits, expected {scores.Length}, the vocabulary's size");
        CheckedBest(logits);
        logits.CopyTo(scores);
        AddBias();
        Penalise(context);
        PenaliseChosen();
        // What was added may have forbidden all.
        int best = CheckedBest(scores);
        int id = options.Temperature == 0 ? best : Draw(scores[best]);
        if (options.FrequencyPenalty != 0 || options.PresencePenalty != 0)
            CollectionsMarshal.GetValueRefOrAddDefault(chosen, id, out _)++;
        return id;
    }

    private void AddBias()
    {
        foreach (var (id, bias) in options.LogitBias ?? s_noBias)
        {
            if ((uint)id < (uint)scores.Length)
                scores[id] += bias;
        }
    }

    private void PenaliseChosen()
    {
        foreach (var (id, times) in chosen)
            scores[id] -= times * options.FrequencyPenalty + options.PresencePenalty;
    }

    /// <summary>The best logit's id, once it is known that they all make sense.</summary>
    internal static int CheckedBest(ReadOnlySpan<float> logits)
    {
        // The index of the first NaN, if there is one.
        int best = TensorPrimitives.IndexOfMax(logits);
        if (float.IsNegativeInfinity(logits[best]))
            throw new InvalidOperationException("every logit is minus infinity: no token can be chosen");
        if (!float.IsFinite(logits[best]))
            throw new InvalidOperationException($"the logit of token {best} is {logits[best]}, expected a finite number: the weights or a kernel are damaged");
        return best;
    }

    private void Penalise(ReadOnlySpan<int> context)
    {
        if (penalisedAt.Length == 0)
            return;
        step++;
        foreach (int id in context)
        {
            if ((uint)id >= (uint)scores.Length || penalisedAt[id] == step)
                continue;
            penalisedAt[id] = step;
            // What is forbidden stays so.
            if (float.IsNegativeInfinity(scores[id]))
                continue;
            float penalised = scores[id] > 0 ? scores[id] / options.RepetitionPenalty : scores[id] * options.RepetitionPenalty;
            scores[id] = Math.Clamp(penalised, float.MinValue, float.MaxValue);
        }
    }

    private int Draw(float best)
    {
        // Weights relative to the best token's, which is 1: exp can't overflow, and min-p is a plain comparison.
        TensorPrimitives.Subtract(scores, best, scores);
        TensorPrimitives.Divide(scores, options.Temperature, scores);
        TensorPrimitives.Exp<float>(scores, scores);

        bool topK = options.TopK > 0 && options.TopK < scores.Length;
        double sum = Sum(scores);
        // Tokens lighter than this weigh less than (1 − top-p) of the whole even all together, so top-p drops them in any case; half
        // of it leaves room for rounding. What remains is a small part of the vocabulary as a rule.
        float floor = topK ? 0 : (float)(0.5 * (1 - options.TopP) * sum / scores.Length);
        int count = 0;
        for (int id = 0; id < scores.Length; id++)
        {
            if (scores[id] >= floor && scores[id] > 0)
                candidates[count++] = new(scores[id], id);
        }

        var kept = candidates.AsSpan(0, count);
        if (topK && options.TopK < count)
        {
            kept = kept[..Candidates.KeepBest(kept, options.TopK)];
            sum = Sum(kept);
        }

        if (options.TopP < 1)
            kept = kept[..Candidates.KeepWeight(kept, options.TopP * sum)];
        return Pick(kept);
    }

    private int Pick(ReadOnlySpan<Candidate> kept)
    {
        double total = 0;
        foreach (var candidate in kept)
            total += candidate.Weight >= options.MinP ? candidate.Weight : 0;
        double left = random.NextUnit() * total;
        int last = kept[0].Id;
        foreach (var candidate in kept)
        {
            if (candidate.Weight < options.MinP)
                continue;
            last = candidate.Id;
            left -= candidate.Weight;
            if (left < 0)
                break;
        }

        return last;
    }

    private static double Sum(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values)
            sum += value;
        return sum;
    }

    private static double Sum(ReadOnlySpan<Candidate> values)
    {
        double sum = 0;
        foreach (var value in values)
            sum += value.Weight;
        return sum;
    }
}

using DualSparse.Models;

namespace DualSparse.Engine.Serving;

/// <summary>
/// How text is generated; unless told otherwise greedily, to the end that the model itself sets. What a checkpoint recommends instead
/// is <see cref="MoeModel.Defaults"/>, to be changed by <c>with</c>. The steps act in the order in which they stand here: see <see cref="Sampler"/>.
/// </summary>
public sealed record GenerationOptions
{
    /// <summary>Tokens to generate at most; null: until the model ends its text or the context is full.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Logits of tokens that the context already has are divided by this, negative ones multiplied; 1: unchanged.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Taken from the logit of a token for each time that it has been generated; 0: nothing.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Taken from the logit of a token that has been generated at all; 0: nothing.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>By token, what is added to its logit before all else; minus infinity forbids it. Null: nothing.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Logits are divided by this; 0 takes the best token always (greedy).</summary>
    public float Temperature { get; init; }

    /// <summary>Only so many of the best tokens are considered; 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Of those, only the best that together reach this share of their probability are considered, at least one; 1: all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Of those, only the ones with at least this share of the best one's probability are considered; 0: all.</summary>
    public float MinP { get; init; }

    /// <summary>Where the random numbers start; null: somewhere else each time (<see cref="GenerationSummary.Seed"/> says where).</summary>
    public ulong? Seed { get; init; }

    /// <summary>Texts that end the generation and are not shown, nor is what follows them.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Ids that end the generation; null: those that the checkpoint says; empty: none.</summary>
    public IReadOnlyList<int>? EosIds { get; init; }

    /// <summary>Null: no log-probabilities; 0: each token's own; n: also those of the n most probable tokens in its place.</summary>
    public int? LogProbs { get; init; }

    /// <summary>What a checkpoint recommends (its generation_config.json); greedy where it doesn't say that it wants to be sampled.</summary>
    /// <exception cref="ModelFormatException">It asks for what isn't implemented, or can't be read.</exception>
    internal static GenerationOptions From(GenerationDefaults defaults) => From(defaults, [], null);

    /// <summary>The same, where somebody says some of it himself.</summary>
    /// <param name="defaults">What the checkpoint recommends.</param>
    /// <param name="said">The fields that he says, which may then hold anything.</param>
    /// <param name="temperature">The temperature that he says, or null.</param>
    /// <exception cref="ModelFormatException">As above.</exception>
    internal static GenerationOptions From(GenerationDefaults defaults, IReadOnlyCollection<string> said, float? temperature)
    {
        if (defaults.RefusalBeside(said, temperature) is { } refusal)
            throw new ModelFormatException($"{refusal}; text is generated as the checkpoint asks or not at all, so take the field out of the file or mend it");
        return new()
        {
            MaxTokens = defaults.MaxNewTokens,
            RepetitionPenalty = defaults.RepetitionPenalty ?? 1,
            Temperature = defaults.DoSample ? defaults.Temperature ?? 1 : 0,
            TopK = defaults.TopK ?? 0,
            TopP = defaults.TopP ?? 1,
            MinP = defaults.MinP ?? 0,
            StopStrings = defaults.StopStrings,
            EosIds = defaults.EosIds,
        };
    }

    /// <summary>Throws if a value makes no sense.</summary>
    /// <exception cref="ArgumentException">The message names the option, its value and what was expected.</exception>
    public void Check()
    {
        Expect(MaxTokens is null or >= 0, "max-tokens", MaxTokens, "at least 0");
        // Sensible ones are between 1 and 2; past these nothing but the largest numbers would be left of any logit.
        Expect(RepetitionPenalty is >= 1e-6f and <= 1e6f, "repetition-penalty", RepetitionPenalty, "a number from 0.000001 to 1000000");
        Expect(float.IsFinite(FrequencyPenalty), "frequency-penalty", FrequencyPenalty, "a finite number");
        Expect(float.IsFinite(PresencePenalty), "presence-penalty", PresencePenalty, "a finite number");
        foreach (var (id, bias) in LogitBias ?? new Dictionary<int, float>())
            Expect(id >= 0 && bias < float.PositiveInfinity, $"logit-bias of token {id}", bias, "a number for a token of the vocabulary");
        Expect(Temperature >= 0 && float.IsFinite(Temperature), "temperature", Temperature, "at least 0");
        Expect(TopK >= 0, "top-k", TopK, "at least 0");
        Expect(TopP is >= 0 and <= 1, "top-p", TopP, "between 0 and 1");
        Expect(MinP is >= 0 and <= 1, "min-p", MinP, "between 0 and 1");
        Expect(LogProbs is null or >= 0, "logprobs", LogProbs, "at least 0");
        Expect(StopStrings.All(s => s.Length > 0), "stop", "\"\"", "a text that isn't empty");
    }

    private static void Expect(bool holds, string name, object? value, string expected)
    {
        if (!holds)
            throw new ArgumentException($"{name} is {value}, expected {expected}");
    }
}

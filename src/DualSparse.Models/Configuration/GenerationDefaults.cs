namespace DualSparse.Models;

/// <summary>
/// What a checkpoint says about generating text: generation_config.json, and for the token ids config.json where that is silent.
/// A null means that the checkpoint doesn't say.
/// </summary>
internal sealed record GenerationDefaults
{
    // Older checkpoints repeat these in config.json, where they count for nothing once generation_config.json is there.
    internal static readonly string[] FieldNames =
        ["bos_token_id", "eos_token_id", "do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens", "max_length", "length_penalty", "early_stopping"];

    /// <summary>The id that opens a sequence, or null.</summary>
    public int? BosId { get; init; }

    /// <summary>The ids that end a sequence; may be empty.</summary>
    public IReadOnlyList<int> EosIds { get; init; } = [];

    /// <summary>Whether to sample; otherwise the best token is taken.</summary>
    public bool DoSample { get; init; }

    /// <summary>Logits are divided by this; 0 means the best token.</summary>
    public float? Temperature { get; init; }

    /// <summary>Only so many best tokens are considered; 0 means all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the best tokens that together reach this probability are considered.</summary>
    public float? TopP { get; init; }

    /// <summary>Only tokens with at least this share of the best one's probability are considered.</summary>
    public float? MinP { get; init; }

    /// <summary>Logits of tokens already there are divided (negative ones multiplied) by this.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>How many tokens to generate at most.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>Texts that end the generation.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Reads both files; <paramref name="generation"/> is null where there is no generation_config.json.</summary>
    internal static GenerationDefaults Read(ConfigFields config, ConfigFields? generation, int vocabSize)
    {
        var source = generation ?? config;
        var defaults = new GenerationDefaults
        {
            BosId = Ids("bos_token_id") is [var bos, ..] ? bos : null,
            EosIds = Ids("eos_token_id") ?? [],
            DoSample = source.Flag("do_sample", false),
            Temperature = (float?)source.OptionalNumber("temperature", 0, 1e6),
            TopK = source.Has("top_k") ? source.Int("top_k", 0, int.MaxValue) : null,
            TopP = (float?)source.OptionalNumber("top_p", 0, 1),
            MinP = (float?)source.OptionalNumber("min_p", 0, 1),
            RepetitionPenalty = source.Has("repetition_penalty") ? (float)source.Number("repetition_penalty", 1e-6, 1e6) : null,
            MaxNewTokens = source.Has("max_new_tokens") ? source.Int("max_new_tokens", 0, int.MaxValue) : null,
            StopStrings = source.TextList("stop_strings") ?? [],
        };
        if (generation is not null)
        {
            foreach (string name in FieldNames)
                generation.Ignore(name);
            KnownFields.FinishGeneration(generation);
        }

        return defaults;

        int[]? Ids(string name) =>
            (generation is not null && generation.Has(name) ? generation : config).IntList(name, 0, vocabSize - 1);
    }
}

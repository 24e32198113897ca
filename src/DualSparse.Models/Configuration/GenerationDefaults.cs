namespace DualSparse.Models;

/// <summary>
/// What a checkpoint says about generating text: generation_config.json, and for the token ids config.json where that is silent.
/// A null means that the checkpoint doesn't say. What can't be followed bars generation alone (<see cref="Refusal"/>): a model is
/// inspected, verified, evaluated and sparsified without it.
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

    /// <summary>Why text can't be generated as the checkpoint asks: the first field that isn't implemented or makes no sense, or a file that can't be read; null: it can.</summary>
    public string? Refusal => RefusalBeside([], null);

    /// <summary>What can't be followed, in the order in which it is looked at.</summary>
    internal IReadOnlyList<GenerationRefusal> Refusals { get; init; } = [];

    /// <summary>What the checkpoint says beyond that and nobody follows, a sentence each: it changes no text that is generated here.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The same where somebody says some of it himself: a field that an option stands for, or that acts on sampled text where none is sampled, bars nothing.</summary>
    /// <param name="said">The fields that options stand for.</param>
    /// <param name="temperature">The temperature that was given; null: none was.</param>
    internal string? RefusalBeside(IReadOnlyCollection<string> said, float? temperature)
    {
        bool samples = (temperature ?? (DoSample ? Temperature ?? 1 : 0)) > 0;
        return Refusals.FirstOrDefault(refusal => !said.Contains(refusal.Field) && (samples || !refusal.OfSampling))?.Message;
    }

    /// <summary>Reads what both files say.</summary>
    /// <param name="config">config.json.</param>
    /// <param name="file">Reads generation_config.json; null where there is none. Without it config.json counts, as in older checkpoints.</param>
    /// <param name="vocabSize">One past the highest id.</param>
    internal static GenerationDefaults Read(ConfigFields config, Func<ConfigFields>? file, int vocabSize)
    {
        List<GenerationRefusal> refusals = [];
        List<string> notes = [];
        var generation = file is null ? null : Try("", file, null);
        var source = file is null ? config : generation;
        int[]? bos = Ids("bos_token_id"), eos = Ids("eos_token_id");
        var defaults = new GenerationDefaults { BosId = bos is [var first, ..] ? first : null, EosIds = eos ?? [] };
        if (source is not null)
        {
            defaults = defaults with
            {
                DoSample = Try("do_sample", () => source.Flag("do_sample", false), false),
                Temperature = Try("temperature", () => (float?)source.OptionalNumber("temperature", 0, 1e6), null),
                // −1 is other engines' word for all.
                TopK = Try("top_k", () => source.Has("top_k") ? Math.Max(0, source.Int("top_k", -1, int.MaxValue)) : (int?)null, null),
                TopP = Try("top_p", () => (float?)source.OptionalNumber("top_p", 0, 1), null),
                MinP = Try("min_p", () => (float?)source.OptionalNumber("min_p", 0, 1), null),
                RepetitionPenalty = Try("repetition_penalty", () => source.Has("repetition_penalty") ? (float)source.Number("repetition_penalty", 1e-6, 1e6) : (float?)null, null),
                MaxNewTokens = Try("max_new_tokens", () => source.Has("max_new_tokens") ? source.Int("max_new_tokens", 0, int.MaxValue) : (int?)null, null),
                StopStrings = Try("stop_strings", () => Stops(source), null) ?? [],
            };
            foreach (var (name, neutral) in GenerationFields.Switches)
                Try(name, () => Neutral(name, neutral), true);
            foreach (var (name, neutral) in GenerationFields.OfSampling)
                Try(name, () => Neutral(name, neutral), true, ofSampling: true);
        }

        if (generation?.Unread.Except([.. FieldNames, .. GenerationFields.Harmless]).ToArray() is [_, ..] unread)
            notes.Add(generation.Error($"not used: {string.Join(", ", unread)}").Message);
        return defaults with { Refusals = refusals, Notes = notes };

        int[]? Ids(string name) => Try(name, () => generation is not null && generation.Has(name) ? generation.IntList(name, 0, vocabSize - 1) : null, null)
            ?? (generation is null || !generation.Has(name) ? Try(name, () => config.IntList(name, 0, vocabSize - 1), null) : null);

        static string[]? Stops(ConfigFields source)
        {
            string[]? stops = source.TextList("stop_strings");
            return stops?.Contains("") == true ? throw source.Error("'stop_strings' holds an empty text, expected texts that can be found") : stops;
        }

        bool Neutral(string name, object[] neutral)
        {
            source!.RequireNeutral(name, neutral);
            return true;
        }

        T Try<T>(string field, Func<T> read, T otherwise, bool ofSampling = false)
        {
            try
            {
                return read();
            }
            catch (ModelFormatException e)
            {
                refusals.Add(new(field, e.Message, ofSampling));
                return otherwise;
            }
        }
    }
}

/// <summary>A field of the settings for generating that can't be followed.</summary>
/// <param name="Field">Its name; empty for the whole file.</param>
/// <param name="Message">The sentence about it.</param>
/// <param name="OfSampling">Whether it acts on sampled text alone.</param>
internal sealed record GenerationRefusal(string Field, string Message, bool OfSampling);

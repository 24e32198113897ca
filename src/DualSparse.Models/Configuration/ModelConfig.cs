using DualSparse.Models.Families;

namespace DualSparse.Models;

/// <summary>
/// One model as the forward pass sees it, whatever family it is of. Per layer: x += attention(norm(x)); x += mlp or experts (norm(x)),
/// norms being RMS norms with a weight. Every value has been checked: positive, consistent, and of a sane size.
/// </summary>
internal sealed record ModelConfig
{
    /// <summary>The longest config.json or generation_config.json: real ones have a few kilobytes.</summary>
    public const long MaxConfigBytes = 4 << 20;

    /// <summary>The family's name in config.json, such as <c>olmoe</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Rows of the embedding and of the head.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width of the hidden state.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The longest context, in positions: <c>max_position_embeddings</c>, or what RoPE's scaling reaches where that is more.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>What RMS norms add to the mean square.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Whether the head's weights are the embedding's.</summary>
    public required bool TieEmbeddings { get; init; }

    /// <summary>Attention, the same in every layer but for its window.</summary>
    public required AttentionConfig Attention { get; init; }

    /// <summary>Rotary position embedding.</summary>
    public required RopeConfig Rope { get; init; }

    /// <summary>The layers in order.</summary>
    public required IReadOnlyList<LayerConfig> LayerPlan { get; init; }

    /// <summary>The mixture of experts of those layers that have one; null where none has.</summary>
    public required MoeConfig? Moe { get; init; }

    /// <summary>Which residual stream each half layer reads.</summary>
    public Wiring Wiring { get; init; }

    /// <summary>The vision tower; null: the model reads text only.</summary>
    public VisionConfig? Vision { get; init; }

    /// <summary>What weight files' names begin with. Another wiring has another name, since readers that don't know it would compute something else.</summary>
    public string WeightsName => Wiring == Wiring.FarSkip ? "farskip" : "model";

    /// <summary>How the family names its tensors.</summary>
    public TensorNames Names { get; init; } = new();

    /// <summary>What the checkpoint says about generating.</summary>
    public GenerationDefaults Generation { get; init; } = new();

    /// <summary>The number of layers.</summary>
    public int Layers => LayerPlan.Count;

    /// <summary>Every tensor that the model needs, by its place in the forward pass, with name and shape.</summary>
    public ModelTensors Tensors => new(this);

    /// <summary>Reads config.json and, where there is one, generation_config.json of a folder.</summary>
    /// <exception cref="ModelFormatException">A file is missing or damaged, or holds a field or value that isn't implemented; the message names it.</exception>
    public static ModelConfig Load(string folder)
    {
        folder = ModelPath.Resolve(folder);
        string config = Path.Combine(folder, ModelPath.Config), generation = Path.Combine(folder, "generation_config.json");
        return Parse(ModelFile.Read(config, MaxConfigBytes), config, ModelFile.Exists(generation) || ModelFile.IsDeadLink(generation) ? () => ModelFile.Read(generation, MaxConfigBytes) : null, generation);
    }

    /// <summary>Reads the two files' bytes; the names are what messages call them.</summary>
    /// <exception cref="ModelFormatException">As for <see cref="Load"/>.</exception>
    internal static ModelConfig Parse(byte[] config, string configName, byte[]? generation, string generationName) =>
        Parse(config, configName, generation is null ? null : () => generation, generationName);

    private static ModelConfig Parse(byte[] config, string configName, Func<byte[]>? generation, string generationName)
    {
        var fields = ConfigFields.Parse(config, configName);
        var model = FamilyTable.Read(fields);
        model = model with { Wiring = WiringField.Read(fields, model) };
        // A model inside another has the ids that its texts end with.
        var closing = model.Vision is null || fields.Has("eos_token_id") ? fields : fields.Object("text_config")!;
        var defaults = GenerationDefaults.Read(closing, generation is null ? null : () => ConfigFields.Parse(generation(), generationName), model.VocabSize);
        KnownFields.Finish(fields);
        ConfigChecks.Check(model, fields);
        // Who turns a scaling on often adds rope_scaling alone, and leaves max_position_embeddings as the model was trained.
        int reached = (int)Math.Min(model.Rope.Scaling?.Positions ?? 0, int.MaxValue);
        return model with { Generation = defaults, MaxPositions = Math.Max(model.MaxPositions, reached) };
    }
}

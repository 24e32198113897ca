namespace DualSparse.Models.Families;

/// <summary>The fields that mean the same in every family.</summary>
internal static class CommonFields
{
    /// <summary>A required width or count.</summary>
    public static int Width(this ConfigFields fields, string name, int? otherwise = null) => fields.Int(name, 1, ConfigChecks.MaxWidth, otherwise);

    /// <summary>The number of layers.</summary>
    public static int Layers(this ConfigFields fields) => fields.Int("num_hidden_layers", 1, ConfigChecks.MaxLayers);

    /// <summary>The longest context.</summary>
    public static int MaxPositions(this ConfigFields fields) => fields.Int("max_position_embeddings", 1, int.MaxValue);

    /// <summary>RMS norm's epsilon.</summary>
    public static float NormEpsilon(this ConfigFields fields, double otherwise) => (float)fields.Number("rms_norm_eps", 0, 1, otherwise);

    /// <summary>Whether embedding and head share their weights; the families here don't unless they say so.</summary>
    public static bool Tied(this ConfigFields fields) => fields.Flag("tie_word_embeddings", false);

    /// <summary>
    /// The number of experts under whichever of the names is there: libraries have renamed it, and write one or the other.
    /// </summary>
    public static int Experts(this ConfigFields fields, int atLeast, params ReadOnlySpan<string> names)
    {
        int? found = null;
        foreach (string name in names)
        {
            if (!fields.Has(name))
            {
                fields.Ignore(name);
                continue;
            }

            int count = fields.Int(name, atLeast, ConfigChecks.MaxExperts);
            if (found is { } other && other != count)
                throw fields.Error($"'{name}' is {count}, but another name for it says {other}");
            found = count;
        }

        return found ?? throw fields.Error($"'{names[0]}' is missing");
    }

    /// <summary>Grouped-query attention: heads, key-value heads, and a head size that is hidden size / heads unless given.</summary>
    public static AttentionConfig GroupedQuery(this ConfigFields fields, int? defaultKeyValueHeads)
    {
        int hidden = fields.Width("hidden_size"), heads = fields.Width("num_attention_heads");
        int size = fields.Has("head_dim") ? fields.Width("head_dim") : hidden / heads;
        fields.Ignore("head_dim");
        if (hidden % heads != 0 && !fields.Has("head_dim"))
            throw fields.Error($"'hidden_size' {hidden} is not a multiple of 'num_attention_heads' {heads}");
        return new AttentionConfig
        {
            Heads = heads,
            KeyValueHeads = fields.Width("num_key_value_heads", Math.Min(defaultKeyValueHeads ?? heads, heads)),
            HeadSize = size,
            SoftmaxScale = (float)(1 / Math.Sqrt(size)),
        };
    }

    /// <summary>
    /// Which layers have experts by Qwen's rule: every <c>decoder_sparse_step</c>-th, unless it stands in <c>mlp_only_layers</c>.
    /// </summary>
    public static Func<int, bool> QwenSparseLayers(this ConfigFields fields, int experts)
    {
        int step = fields.Int("decoder_sparse_step", 1, int.MaxValue, 1);
        var dense = new HashSet<int>(fields.IntList("mlp_only_layers", 0, int.MaxValue) ?? []);
        return layer => experts > 0 && (layer + 1) % step == 0 && !dense.Contains(layer);
    }

    /// <summary>
    /// The layers of a family whose window, if any, is every layer's: <c>layer_types</c>, where it is there, must say the same.
    /// </summary>
    public static LayerConfig[] UniformLayers(this ConfigFields fields, int layers, int? window, Func<int, int> denseIntermediate)
    {
        string expected = window is null ? "full_attention" : "sliding_attention";
        if (fields.LayerTypes(layers) is { } types && types.FirstOrDefault(type => type != expected) is { } other)
            throw fields.Error($"'layer_types' holds '{other}', expected '{expected}' for every layer of this family");
        return [.. Enumerable.Range(0, layers).Select(layer => new LayerConfig(denseIntermediate(layer), window))];
    }

    /// <summary><c>layer_types</c>, one for each layer, or null where it isn't given.</summary>
    public static string[]? LayerTypes(this ConfigFields fields, int layers)
    {
        var types = fields.TextList("layer_types");
        if (types is not null && types.Length != layers)
            throw fields.Error($"'layer_types' holds {types.Length} entries, expected {layers}, one for each layer");
        return types;
    }
}

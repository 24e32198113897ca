namespace DualSparse.Models.Families;

/// <summary>
/// ScMoE (arXiv 2404.05019): layers in pairs, the first with a dense MLP, the second with the experts, which read an earlier representation where a
/// shortcut is taken, and a shared expert where it is asked for. DGMoE routes a token twice, by an earlier representation and by the present one.
/// </summary>
internal static class ScMoe
{
    // The attention of the first layer of a pair: what is before it belongs to the pair before.
    private const int FarthestPosition = 3;

    public static ModelConfig Read(ConfigFields fields)
    {
        var attention = fields.GroupedQuery(defaultKeyValueHeads: null);
        int layers = fields.Layers(), positions = fields.MaxPositions();
        if (layers % 2 != 0)
            throw fields.Error($"'num_hidden_layers' is {layers}, expected an even number: layers of this family come in pairs");
        int dense = fields.Width("intermediate_size"), shortcut = fields.Int("shortcut_position", 0, FarthestPosition, 0);
        return new ModelConfig
        {
            ModelType = "scmoe",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = fields.Width("hidden_size"),
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-5),
            TieEmbeddings = fields.Flag("tie_word_embeddings", true),
            Attention = attention,
            Rope = RopeFields.Read(fields, attention.HeadSize, positions, defaultTheta: 1e4),
            LayerPlan = [.. fields.UniformLayers(layers, window: null, layer => layer % 2 == 0 ? dense : 0).Select(layer => layer.IsMoe ? layer with { Shortcut = shortcut } : layer)],
            Moe = Experts(fields),
            Names = new TensorNames { CombineGate = "combine_gate" },
        };
    }

    private static MoeConfig Experts(ConfigFields fields)
    {
        int width = fields.Width("moe_intermediate_size"), experts = fields.Experts(1, "num_experts");
        int topK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts), shared = fields.Width("shared_expert_intermediate_size", width);
        bool dual = OneOf(fields, "routing", "single", "dual") == 1, hasShared = fields.Flag("shared_expert", false);
        var combine = (CombineGate)OneOf(fields, "combine", "add", "cg1", "cg2");
        if (dual && topK != 1)
            throw fields.Error($"'num_experts_per_tok' is {topK}, expected 1: 'routing' \"dual\" takes one expert by each of two representations");
        if (dual && experts < 2)
            throw fields.Error("'num_experts' is 1, expected at least 2: 'routing' \"dual\" takes two different ones");
        if (combine != CombineGate.None && !hasShared)
            throw fields.Error($"'combine' is {fields.Show("combine")}, which weighs a shared expert, but there is none: expected 'shared_expert' true, or \"add\"");
        return new MoeConfig
        {
            Experts = experts,
            TopK = topK,
            Intermediate = width,
            // One expert's share of its own score would always be 1, and its router without a gradient.
            NormTopK = topK > 1,
            SharedIntermediate = hasShared ? shared : 0,
            Combine = combine,
            Dual = dual,
            BalancesEachLayer = true,
        };
    }

    // The first is what is meant where the field is missing.
    private static int OneOf(ConfigFields fields, string name, params string[] values)
    {
        string found = fields.Text(name) ?? values[0];
        int index = Array.IndexOf(values, found);
        return index >= 0 ? index : throw fields.Error($"'{name}' is {fields.Show(name)}, expected {string.Join(" or ", values.Select(value => $"\"{value}\""))}");
    }
}

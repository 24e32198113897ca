namespace DualSparse.Models.Families;

/// <summary>
/// ScMoE (arXiv 2404.05019) where no shortcut is taken: layers in pairs, the first with a dense MLP, the second with the experts and, where it
/// is asked for, a shared expert whose output is added as it is.
/// </summary>
internal static class ScMoe
{
    public static ModelConfig Read(ConfigFields fields)
    {
        fields.RequireNeutral("shortcut_position", 0);
        fields.RequireNeutral("routing", "single");
        fields.RequireNeutral("combine", "add");
        var attention = fields.GroupedQuery(defaultKeyValueHeads: null);
        int layers = fields.Layers(), positions = fields.MaxPositions();
        if (layers % 2 != 0)
            throw fields.Error($"'num_hidden_layers' is {layers}, expected an even number: layers of this family come in pairs");
        int dense = fields.Width("intermediate_size"), width = fields.Width("moe_intermediate_size");
        int topK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts), shared = fields.Width("shared_expert_intermediate_size", width);
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
            LayerPlan = fields.UniformLayers(layers, window: null, layer => layer % 2 == 0 ? dense : 0),
            Moe = new MoeConfig
            {
                Experts = fields.Experts(1, "num_experts"),
                TopK = topK,
                Intermediate = width,
                // One expert's share of its own score would always be 1, and its router without a gradient.
                NormTopK = topK > 1,
                SharedIntermediate = fields.Flag("shared_expert", false) ? shared : 0,
            },
        };
    }
}

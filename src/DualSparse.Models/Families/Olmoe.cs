namespace DualSparse.Models.Families;

/// <summary>OLMoE (arXiv 2409.02060): queries and keys normalised over their full width, experts in every layer.</summary>
internal static class Olmoe
{
    public static ModelConfig Read(ConfigFields fields)
    {
        var attention = fields.GroupedQuery(defaultKeyValueHeads: null);
        int layers = fields.Layers(), positions = fields.MaxPositions(), hidden = fields.Width("hidden_size");
        if ((long)attention.HeadSize * attention.Heads != hidden)
            throw fields.Error($"'head_dim' is {attention.HeadSize}, expected hidden_size / num_attention_heads in this family");
        bool bias = fields.Flag("attention_bias", false);
        return new ModelConfig
        {
            ModelType = "olmoe",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = hidden,
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-5),
            TieEmbeddings = fields.Tied(),
            Attention = attention with
            {
                QueryKeyNorm = QueryKeyNorm.FullWidth,
                QkvBias = bias,
                OutputBias = bias,
                ClipQkv = fields.Has("clip_qkv") ? (float)fields.Number("clip_qkv", 0, 1e30) : null,
            },
            Rope = RopeFields.Read(fields, attention.HeadSize, positions, defaultTheta: 1e4),
            LayerPlan = fields.UniformLayers(layers, window: null, _ => 0),
            Moe = new MoeConfig
            {
                Experts = fields.Experts(1, "num_experts", "num_local_experts"),
                TopK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts, 8),
                Intermediate = fields.Width("intermediate_size"),
                NormTopK = fields.Flag("norm_topk_prob", false),
            },
        };
    }
}

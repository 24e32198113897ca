namespace DualSparse.Models.Families;

/// <summary>Qwen3-MoE (arXiv 2505.09388): queries and keys normalised head by head, a head size of its own, dense layers where the configuration says so.</summary>
internal static class Qwen3Moe
{
    public static ModelConfig Read(ConfigFields fields) => ReadText(fields, defaultTheta: 1e4);

    /// <summary>The text model of this family, or of one with pictures.</summary>
    /// <param name="fields">Its fields.</param>
    /// <param name="defaultTheta">RoPE's base where none is given.</param>
    /// <param name="withGrid">Whether RoPE turns by time, rows and columns.</param>
    public static ModelConfig ReadText(ConfigFields fields, double defaultTheta, bool withGrid = false)
    {
        var attention = fields.GroupedQuery(defaultKeyValueHeads: 4);
        int layers = fields.Layers(), positions = fields.MaxPositions();
        int experts = fields.Experts(0, "num_experts", "num_local_experts");
        var sparse = fields.QwenSparseLayers(experts);
        int dense = fields.Width("intermediate_size", 6144);
        bool bias = fields.Flag("attention_bias", false);
        bool slides = fields.Flag("use_sliding_window", false);
        int window = fields.Int("sliding_window", slides ? 1 : 0, int.MaxValue, 4096);
        fields.Ignore("max_window_layers"); // written by some, read by nothing: the window is every layer's
        // Qwen3-Coder writes these, which say what holds for the whole family.
        fields.RequireNeutral("use_qk_norm", true);
        fields.RequireNeutral("shared_expert_intermediate_size", 0);
        var moe = new MoeConfig
        {
            Experts = Math.Max(experts, 1),
            TopK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts, 8),
            Intermediate = fields.Width("moe_intermediate_size", 768),
            NormTopK = fields.Flag("norm_topk_prob", false),
        };
        return new ModelConfig
        {
            ModelType = "qwen3_moe",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = fields.Width("hidden_size"),
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-6),
            TieEmbeddings = fields.Tied(),
            Attention = attention with { QueryKeyNorm = QueryKeyNorm.PerHead, QkvBias = bias, OutputBias = bias },
            Rope = RopeFields.Read(fields, attention.HeadSize, positions, defaultTheta, withGrid: withGrid),
            LayerPlan = fields.UniformLayers(layers, slides ? window : null, layer => sparse(layer) ? 0 : dense),
            Moe = Enumerable.Range(0, layers).Any(sparse) ? moe : null,
        };
    }
}

namespace DualSparse.Models.Families;

/// <summary>Mixtral (arXiv 2401.04088): grouped-query attention, experts in every layer, chosen scores always renormalised.</summary>
internal static class Mixtral
{
    public static ModelConfig Read(ConfigFields fields)
    {
        var attention = fields.GroupedQuery(defaultKeyValueHeads: 8);
        int layers = fields.Layers(), positions = fields.MaxPositions();
        int? window = fields.Has("sliding_window") ? fields.Int("sliding_window", 1, int.MaxValue) : null;
        fields.Ignore("sliding_window");
        return new ModelConfig
        {
            ModelType = "mixtral",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = fields.Width("hidden_size"),
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-5),
            TieEmbeddings = fields.Tied(),
            Attention = attention,
            Rope = RopeFields.Read(fields, attention.HeadSize, positions, defaultTheta: 1e6),
            LayerPlan = fields.UniformLayers(layers, window, _ => 0),
            Moe = new MoeConfig
            {
                Experts = fields.Experts(1, "num_local_experts", "num_experts"),
                TopK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts, 2),
                Intermediate = fields.Width("intermediate_size"),
                NormTopK = true,
            },
            Names = new TensorNames { Moe = "block_sparse_moe", ExpertGate = "w1", ExpertUp = "w3", ExpertDown = "w2" },
        };
    }
}

namespace DualSparse.Models.Families;

/// <summary>Qwen1.5-MoE and Qwen2-MoE: biases on query, key and value, a shared expert behind a sigmoid gate, dense layers where the configuration says so.</summary>
internal static class Qwen2Moe
{
    public static ModelConfig Read(ConfigFields fields)
    {
        var attention = fields.GroupedQuery(defaultKeyValueHeads: 16);
        int layers = fields.Layers(), positions = fields.MaxPositions();
        int experts = fields.Experts(0, "num_experts", "num_local_experts");
        var sparse = fields.QwenSparseLayers(experts);
        int dense = fields.Width("intermediate_size", 5632);
        var windows = Windows(fields, layers);
        return new ModelConfig
        {
            ModelType = "qwen2_moe",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = fields.Width("hidden_size"),
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-6),
            TieEmbeddings = fields.Tied(),
            Attention = attention with { QkvBias = fields.Flag("qkv_bias", true) },
            Rope = RopeFields.Read(fields, attention.HeadSize, positions, defaultTheta: 1e4),
            LayerPlan = [.. Enumerable.Range(0, layers).Select(layer => new LayerConfig(sparse(layer) ? 0 : dense, windows[layer]))],
            Moe = Moe(fields, experts, Enumerable.Range(0, layers).Any(sparse)),
        };
    }

    private static MoeConfig? Moe(ConfigFields fields, int experts, bool used)
    {
        var moe = new MoeConfig
        {
            Experts = Math.Max(experts, 1),
            TopK = fields.Int("num_experts_per_tok", 1, ConfigChecks.MaxExperts, 4),
            Intermediate = fields.Width("moe_intermediate_size", 1408),
            NormTopK = fields.Flag("norm_topk_prob", false),
            SharedIntermediate = fields.Width("shared_expert_intermediate_size", 5632),
            Combine = CombineGate.Shared,
        };
        return used ? moe : null;
    }

    // Where layer_types isn't given, every other layer below max_window_layers has the window, from layer 0 on, as in transformers 5.
    private static int?[] Windows(ConfigFields fields, int layers)
    {
        bool slides = fields.Flag("use_sliding_window", false);
        int window = fields.Int("sliding_window", 0, int.MaxValue, 4096);
        int below = fields.Int("max_window_layers", 0, int.MaxValue, 28);
        var types = fields.LayerTypes(layers);
        var windows = new int?[layers];
        for (int layer = 0; layer < layers; layer++)
        {
            string type = types?[layer] ?? (slides && layer % 2 == 0 && layer < below ? "sliding_attention" : "full_attention");
            if (type is not ("full_attention" or "sliding_attention"))
                throw fields.Error($"'layer_types' holds '{type}', expected 'full_attention' or 'sliding_attention'");
            if (type == "full_attention")
                continue;
            if (!slides || window == 0)
                throw fields.Error($"layer {layer} has a sliding window, but 'use_sliding_window' is {fields.Show("use_sliding_window")} and 'sliding_window' {fields.Show("sliding_window")}");
            windows[layer] = window;
        }

        return windows;
    }
}

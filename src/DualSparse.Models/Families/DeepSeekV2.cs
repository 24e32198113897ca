namespace DualSparse.Models.Families;

/// <summary>
/// DeepSeek-V2 and V2-Lite (arXiv 2405.04434): multi-head latent attention with interleaved RoPE, dense first layers, shared experts added
/// unweighted, routing over all experts or over the best groups.
/// </summary>
internal static class DeepSeekV2
{
    public static ModelConfig Read(ConfigFields fields)
    {
        int layers = fields.Layers(), positions = fields.MaxPositions();
        int heads = fields.Width("num_attention_heads");
        var mla = new MlaConfig
        {
            QueryRank = fields.Has("q_lora_rank") ? fields.Width("q_lora_rank") : null,
            KvRank = fields.Width("kv_lora_rank"),
            NopeSize = fields.Width("qk_nope_head_dim"),
            RopeSize = fields.Width("qk_rope_head_dim"),
            ValueSize = fields.Width("v_head_dim"),
        };
        fields.Ignore("q_lora_rank");
        CheckHeads(fields, heads, mla);
        var rope = RopeFields.Read(fields, mla.RopeSize, positions, defaultTheta: 1e4, interleaved: true);
        bool bias = fields.Flag("attention_bias", false);
        int experts = fields.Has("n_routed_experts") || fields.Has("num_experts") || fields.Has("num_local_experts")
            ? fields.Experts(0, "n_routed_experts", "num_experts", "num_local_experts") : 0;
        fields.Ignore("n_routed_experts");
        int firstSparse = fields.Int("first_k_dense_replace", 0, int.MaxValue, 0), every = fields.Int("moe_layer_freq", 1, int.MaxValue, 1);
        int dense = fields.Width("intermediate_size");
        var plan = Enumerable.Range(0, layers).Select(layer => experts > 0 && layer >= firstSparse && layer % every == 0 ? 0 : dense).ToArray();
        return new ModelConfig
        {
            ModelType = "deepseek_v2",
            VocabSize = fields.Width("vocab_size"),
            HiddenSize = fields.Width("hidden_size"),
            MaxPositions = positions,
            NormEpsilon = fields.NormEpsilon(1e-6),
            TieEmbeddings = fields.Tied(),
            Attention = new AttentionConfig
            {
                Heads = heads,
                KeyValueHeads = heads,
                HeadSize = mla.NopeSize + mla.RopeSize,
                QkvBias = bias,
                OutputBias = bias,
                SoftmaxScale = SoftmaxScale(mla, rope),
                Mla = mla,
            },
            Rope = rope,
            LayerPlan = fields.UniformLayers(layers, window: null, layer => plan[layer]),
            Moe = Moe(fields, experts) is { } moe && plan.Contains(0) ? moe : null,
            Names = new TensorNames { SharedExpert = "shared_experts" },
        };
    }

    // (nope + rope)^-1/2, times the square of YaRN's mscale over all dimensions: DeepSeek put it there rather than into cos and sin.
    private static float SoftmaxScale(MlaConfig mla, RopeConfig rope)
    {
        double scale = 1 / Math.Sqrt(mla.NopeSize + mla.RopeSize);
        if (rope.Scaling is RopeScaling.Yarn { MscaleAllDim: > 0 } yarn)
            scale *= Math.Pow(RopeScaling.Mscale(yarn.Factor, yarn.MscaleAllDim.Value), 2);
        return (float)scale;
    }

    // Fields that repeat what the others say must agree with them.
    private static void CheckHeads(ConfigFields fields, int heads, MlaConfig mla)
    {
        Expect("num_key_value_heads", heads);
        Expect("head_dim", mla.RopeSize, mla.NopeSize + mla.RopeSize);
        Expect("qk_head_dim", mla.NopeSize + mla.RopeSize);

        void Expect(string name, params ReadOnlySpan<int> expected)
        {
            if (fields.Has(name) && !expected.Contains(fields.Width(name)))
                throw fields.Error($"'{name}' is {fields.Show(name)}, expected {expected[0]} from the other sizes of the heads");
            fields.Ignore(name);
        }
    }

    private static MoeConfig? Moe(ConfigFields fields, int experts)
    {
        fields.RequireNeutral("scoring_func", "softmax");
        string method = fields.Text("topk_method") ?? "greedy";
        if (method is not ("greedy" or "group_limited_greedy"))
            throw fields.Error($"'topk_method' is '{method}', expected 'greedy' or 'group_limited_greedy' in this family");
        // The first implementation renormalised (and then left the scaling factor out), later ones pass the flag over: no release sets it.
        if (fields.Flag("norm_topk_prob", false))
            throw fields.Error("'norm_topk_prob' is true, expected false in this family: implementations disagree on what it means there");
        int groups = fields.Int("n_group", 1, ConfigChecks.MaxExperts, 1), topKGroups = fields.Int("topk_group", 1, ConfigChecks.MaxExperts, 1);
        bool grouped = method == "group_limited_greedy";
        int topK = fields.Int("num_experts_per_tok", experts > 0 ? 1 : 0, ConfigChecks.MaxExperts, experts > 0 ? null : 0);
        int width = experts > 0 ? fields.Width("moe_intermediate_size") : fields.Width("moe_intermediate_size", 1);
        int shared = fields.Int("n_shared_experts", 0, ConfigChecks.MaxExperts, 0);
        double scale = fields.Number("routed_scaling_factor", 0, 1e6, 1);
        if ((long)shared * width > ConfigChecks.MaxWidth)
            throw fields.Error($"{shared} shared experts of {width} neurons are too wide, expected at most {ConfigChecks.MaxWidth} together");
        return experts == 0 ? null : new MoeConfig
        {
            Experts = experts,
            TopK = topK,
            Intermediate = width,
            NormTopK = false,
            Groups = grouped ? groups : 1,
            TopKGroups = grouped ? topKGroups : 1,
            RoutedScale = (float)scale,
            SharedIntermediate = shared * width,
        };
    }
}

namespace DualSparse.Models.Families;

/// <summary>
/// Qwen3-VL-MoE: Qwen3-MoE with positions in time, rows and columns, and a vision tower some of whose blocks feed the first layers too. The two have
/// an object each in config.json.
/// </summary>
internal static class Qwen3VlMoe
{
    public static ModelConfig Read(ConfigFields fields)
    {
        var text = fields.Object("text_config") ?? throw fields.Error("'text_config' is missing");
        var vision = fields.Object("vision_config") ?? throw fields.Error("'vision_config' is missing");
        text.RequireNeutral("model_type", "qwen3_vl_moe_text");
        var model = Qwen3Moe.ReadText(text, defaultTheta: 5e6, withGrid: true);
        // Implementations differ in what false would mean: transformers divides by the sum whatever it says.
        text.RequireNeutral("norm_topk_prob", true);
        bool tied = fields.Tied();
        if (text.Has("tie_word_embeddings") && text.Tied() != tied)
            throw fields.Error($"'tie_word_embeddings' is {(tied ? "true" : "false")}, but {text.Show("tie_word_embeddings")} in 'text_config'");
        KnownFields.Finish(text);
        return model with
        {
            ModelType = "qwen3_vl_moe",
            TieEmbeddings = tied,
            Moe = model.Moe is { } moe ? moe with { NormTopK = true } : null,
            Vision = Vision(fields, vision, model),
            Names = model.Names with { Root = "model.language_model." },
        };
    }

    private static VisionConfig Vision(ConfigFields fields, ConfigFields vision, ModelConfig text)
    {
        int last = text.VocabSize - 1, hidden = vision.Width("hidden_size"), heads = vision.Width("num_heads"), layers = vision.Int("depth", 1, ConfigChecks.MaxLayers);
        vision.RequireNeutral("model_type", "qwen3_vl_moe_vision", "qwen3_vl_moe");
        vision.RequireNeutral("hidden_act", "gelu_pytorch_tanh");
        // A head's pairs turn by rows and by columns, half of them each.
        if (hidden % heads != 0 || hidden / heads % 4 != 0)
            throw vision.Error($"'hidden_size' {hidden} makes {heads} heads of no multiple of 4 elements");
        int output = vision.Width("out_hidden_size");
        if (output != text.HiddenSize)
            throw vision.Error($"'out_hidden_size' is {output}, expected the text model's hidden size, {text.HiddenSize}");
        int embeddings = vision.Width("num_position_embeddings"), side = (int)Math.Sqrt(embeddings);
        if (side * side != embeddings)
            throw vision.Error($"'num_position_embeddings' is {embeddings}, expected a square");
        int[] deep = vision.IntList("deepstack_visual_indexes", 0, layers - 1) ?? [];
        if (deep.Distinct().Count() != deep.Length || !deep.SequenceEqual(deep.Order()) || deep.Length > text.Layers)
            throw vision.Error($"'deepstack_visual_indexes' is {vision.Show("deepstack_visual_indexes")}, expected rising numbers, at most one for each of the text model's {text.Layers} layers");
        double theta = 1e4;
        if (vision.Object("rope_parameters") is { } rope)
        {
            theta = rope.Number("rope_theta", 1, RopeFields.MaxTheta, theta);
            rope.RequireNeutral("rope_type", "axial", "default");
            rope.RejectUnknown();
        }

        var config = new VisionConfig
        {
            Layers = layers,
            HiddenSize = hidden,
            Heads = heads,
            Intermediate = vision.Width("intermediate_size"),
            Channels = vision.Int("in_channels", 3, 3, 3),
            PatchSize = vision.Int("patch_size", 1, MostPixels),
            PatchFrames = vision.Int("temporal_patch_size", 1, MostFrames, 2),
            Merge = vision.Int("spatial_merge_size", 1, MostPixels, 2),
            GridSide = side,
            DeepLayers = deep,
            Theta = theta,
            ImageToken = fields.Int("image_token_id", 0, last),
            VideoToken = fields.Int("video_token_id", 0, last),
            StartToken = fields.Int("vision_start_token_id", 0, last),
            EndToken = fields.Int("vision_end_token_id", 0, last),
        };
        KnownFields.Finish(vision);
        return config;
    }

    // A hundred times any model's patch.
    private const int MostPixels = 1024;

    // Releases have 2.
    private const int MostFrames = 16;
}

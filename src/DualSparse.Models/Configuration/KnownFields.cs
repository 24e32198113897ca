namespace DualSparse.Models;

/// <summary>
/// The fields of config.json that don't change what a forward pass computes. Whatever stands neither here nor in a family's own file is
/// refused by name.
/// </summary>
internal static class KnownFields
{
    // Training, bookkeeping, and the looks of another library's outputs: any value.
    private static readonly string[] Harmless =
    [
        "_attn_implementation", "_attn_implementation_autoset", "_from_model_config", "_name_or_path", "architectures", "attention_dropout",
        "attn_implementation", "auto_map", "aux_loss_alpha", "chunk_size_feed_forward", "dtype", "embd_pdrop", "ep_size", "experts_implementation",
        "finetuning_task", "hidden_dropout", "id2label", "initializer_range", "label2id", "language", "license", "model_max_length", "name",
        "num_nextn_predict_layers", "output_attentions", "output_hidden_states", "output_router_logits", "pad_token_id", "prefix",
        "pretraining_tp", "problem_type", "resid_pdrop", "return_dict", "router_aux_loss_coef", "router_jitter_noise", "seq_aux",
        "task_specific_params", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version", "unsloth_fixed", "unsloth_version", "use_cache",
    ];

    private static readonly string[] Quantisation = ["quantization_config", "quantization", "compression_config"];

    // Fields of other architectures or of searches that we don't have: only the value that switches them off.
    private static readonly (string Name, object[] Neutral)[] Switches =
    [
        ("add_cross_attention", [false]), ("cross_attention_hidden_size", []), ("head_dim", []),
        ("hidden_act", ["silu"]), ("is_decoder", [false, true]), ("is_encoder_decoder", [false]), ("mlp_bias", [false]),
        ("partial_rotary_factor", [1]), ("pruned_heads", []), ("sep_token_id", []), ("sliding_window", []), ("tie_encoder_decoder", [false]),
        ("use_bfloat16", [false, true]), ("attention_bias", [false]), ("qkv_bias", [false]), ("clip_qkv", []),
        ("use_sliding_window", [false]), ("use_qk_norm", []), ("logit_scale", [1]), ("final_logit_softcapping", []),
    ];

    /// <summary>Reads over what is harmless in config.json, after a family has read its own fields, and refuses the rest.</summary>
    public static void Finish(ConfigFields fields)
    {
        foreach (string name in (string[])[.. Harmless, .. Quantisation, "model_type", .. GenerationDefaults.FieldNames, .. GenerationFields.Names])
            fields.Ignore(name);
        foreach (var (name, neutral) in Switches)
        {
            if (!fields.WasRead(name))
                fields.RequireNeutral(name, neutral);
        }

        fields.RejectUnknown();
    }

    /// <summary>Refuses a checkpoint whose weights are quantised, by the method's name.</summary>
    /// <exception cref="ModelFormatException">They are.</exception>
    public static void RefuseQuantised(ConfigFields fields)
    {
        foreach (string name in Quantisation)
        {
            if (fields.Object(name) is not { } how || !how.Unread.Any())
                continue;
            string method = name == "quantization" || how.Has("group_size") && !how.Has("quant_method") ? "mlx" : how.Has("quant_method") ? how.Show("quant_method").Trim('"') : "a method that isn't named";
            string bits = how.Has("bits") ? $" to {how.Show("bits")} bits" : how.Has("load_in_4bit") && how.Flag("load_in_4bit", false) ? " to 4 bits" : "";
            throw fields.Error($"'{name}' says that the weights are quantised by {method}{bits}, and quantised checkpoints are not supported: take the model's own weights in F32, BF16 or F16, which are made int8 or int4 as they are loaded");
        }
    }
}

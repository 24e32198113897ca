namespace DualSparse.Models;

/// <summary>
/// The fields of config.json and generation_config.json that don't change what a forward pass computes. Whatever stands neither here nor
/// in a family's own file is refused by name.
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

    private static readonly string[] GenerationHarmless =
    [
        "_from_model_config", "assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind", "cache_config",
        "cache_implementation", "chat_format", "compile_config", "continuous_batching_config", "disable_compile", "early_stopping",
        "is_assistant", "length_penalty", "low_memory", "max_length", "max_matching_ngram_size", "max_time", "model_type", "num_assistant_tokens",
        "num_assistant_tokens_schedule", "output_attentions", "output_hidden_states", "output_logits", "output_scores", "pad_token_id",
        "prefill_chunk_size", "prompt_lookup_num_tokens", "return_dict_in_generate", "return_legacy_cache", "speculation_strategy",
        "target_lookbehind", "token_healing", "transformers_version", "trust_remote_code", "use_cache", "use_model_defaults",
    ];

    // Fields of other architectures or of searches that we don't have: only the value that switches them off.
    private static readonly (string Name, object[] Neutral)[] Switches =
    [
        ("add_cross_attention", [false]), ("cross_attention_hidden_size", []), ("decoder_start_token_id", []), ("head_dim", []),
        ("hidden_act", ["silu"]), ("is_decoder", [false, true]), ("is_encoder_decoder", [false]), ("mlp_bias", [false]),
        ("partial_rotary_factor", [1]), ("pruned_heads", []), ("sep_token_id", []), ("sliding_window", []), ("tie_encoder_decoder", [false]),
        ("use_bfloat16", [false, true]), ("attention_bias", [false]), ("qkv_bias", [false]), ("clip_qkv", []),
        ("use_sliding_window", [false]), ("use_qk_norm", []), ("logit_scale", [1]), ("final_logit_softcapping", []),
    ];

    private static readonly (string Name, object[] Neutral)[] GenerationSwitches =
    [
        ("bad_words_ids", []), ("begin_suppress_tokens", []), ("constraints", []), ("decoder_start_token_id", []), ("diversity_penalty", [0]),
        ("dola_layers", []), ("encoder_no_repeat_ngram_size", [0]), ("encoder_repetition_penalty", [1]), ("epsilon_cutoff", [0]),
        ("eta_cutoff", [0]), ("exponential_decay_length_penalty", []), ("force_words_ids", []), ("forced_bos_token_id", []),
        ("forced_decoder_ids", []), ("forced_eos_token_id", []), ("guidance_scale", [1]), ("min_length", [0]), ("min_new_tokens", [0]),
        ("no_repeat_ngram_size", [0]), ("num_beam_groups", [1]), ("num_beams", [1]), ("num_return_sequences", [1]), ("penalty_alpha", [0]),
        ("remove_invalid_values", [false]), ("renormalize_logits", [false, true]), ("sequence_bias", []), ("suppress_tokens", []),
        ("top_h", []), ("typical_p", [1]), ("watermarking_config", []),
    ];

    /// <summary>Reads over what is harmless in config.json, after a family has read its own fields, and refuses the rest.</summary>
    public static void Finish(ConfigFields fields)
    {
        foreach (string name in Quantisation)
        {
            if (fields.Has(name))
                throw fields.Error($"'{name}' is there, but quantised checkpoints are not supported: expected weights in F32, BF16 or F16");
        }

        Finish(fields, [.. Harmless, .. Quantisation, "model_type", .. GenerationDefaults.FieldNames], [.. Switches, .. GenerationSwitches]);
    }

    /// <summary>Reads over what is harmless in generation_config.json and refuses the rest.</summary>
    public static void FinishGeneration(ConfigFields fields) => Finish(fields, GenerationHarmless, GenerationSwitches);

    private static void Finish(ConfigFields fields, IEnumerable<string> harmless, IEnumerable<(string Name, object[] Neutral)> switches)
    {
        foreach (string name in harmless)
            fields.Ignore(name);
        foreach (var (name, neutral) in switches)
        {
            if (!fields.WasRead(name))
                fields.RequireNeutral(name, neutral);
        }

        fields.RejectUnknown();
    }
}

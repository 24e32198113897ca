namespace DualSparse.Models;

/// <summary>The fields of generation_config.json that aren't values of <see cref="GenerationDefaults"/>. Others are noted as not used.</summary>
internal static class GenerationFields
{
    /// <summary>Bookkeeping, speed, and the looks of another library's outputs: any value.</summary>
    public static readonly string[] Harmless =
    [
        "_from_model_config", "assistant_confidence_threshold", "assistant_early_exit", "assistant_lookbehind", "cache_config",
        "cache_implementation", "chat_format", "compile_config", "continuous_batching_config", "disable_compile", "early_stopping",
        "is_assistant", "length_penalty", "low_memory", "max_length", "max_matching_ngram_size", "max_time", "model_type", "num_assistant_tokens",
        "num_assistant_tokens_schedule", "output_attentions", "output_hidden_states", "output_logits", "output_scores", "pad_token_id",
        "prefill_chunk_size", "prompt_lookup_num_tokens", "return_dict_in_generate", "return_legacy_cache", "speculation_strategy",
        "target_lookbehind", "token_healing", "transformers_version", "trust_remote_code", "use_cache", "use_model_defaults",
    ];

    /// <summary>What would change the text and isn't implemented: only the values that switch it off.</summary>
    public static readonly (string Name, object[] Neutral)[] Switches =
    [
        ("bad_words_ids", []), ("begin_suppress_tokens", []), ("constraints", []), ("decoder_start_token_id", []), ("diversity_penalty", [0]),
        ("dola_layers", []), ("dry_multiplier", [0]), ("encoder_no_repeat_ngram_size", [0]), ("encoder_repetition_penalty", [1]),
        ("exponential_decay_length_penalty", []), ("force_words_ids", []), ("forced_bos_token_id", []), ("forced_decoder_ids", []),
        ("forced_eos_token_id", []), ("frequency_penalty", [0]), ("guidance_scale", [1]), ("logit_bias", []), ("min_length", [0]),
        ("min_new_tokens", [0]), ("mirostat", [0]), ("no_repeat_ngram_size", [0]), ("num_beam_groups", [1]), ("num_beams", [1]),
        ("penalty_alpha", [0]), ("presence_penalty", [0]), ("remove_invalid_values", [false]), ("renormalize_logits", [false, true]),
        ("sequence_bias", []), ("suppress_tokens", []), ("watermarking_config", []),
    ];

    /// <summary>The same, of what acts on sampled text alone: greedy text is what it is without them.</summary>
    public static readonly (string Name, object[] Neutral)[] OfSampling =
    [
        ("epsilon_cutoff", [0]), ("eta_cutoff", [0]), ("top_h", []), ("typical_p", [1]), ("xtc_probability", [0]),
    ];

    /// <summary>The names that config.json repeats in older checkpoints.</summary>
    public static IEnumerable<string> Names => [.. Switches.Select(s => s.Name), .. OfSampling.Select(s => s.Name), "num_return_sequences"];
}

namespace DualSparse.Models;

/// <summary>What a config.json is of that is of none of our families: a model without experts, one that writes no text, or one to come.</summary>
internal static class KnownFamilies
{
    private static readonly string[] s_dense =
    [
        "llama", "mistral", "ministral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon",
        "mpt", "olmo", "olmo2", "olmo3", "stablelm", "starcoder2", "cohere", "cohere2", "granite", "glm", "glm4", "internlm2", "baichuan", "chatglm", "smollm3", "exaone",
        "nemotron", "mamba", "mamba2", "rwkv", "persimmon", "codegen", "minicpm",
    ];

    private static readonly string[] s_noWriters =
    [
        "bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "mpnet", "modernbert", "nomic_bert", "clip", "clip_text_model", "siglip", "vit",
        "dinov2", "t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "whisper", "wav2vec2", "hubert", "xlnet", "longformer",
    ];

    /// <summary>Why a family isn't read, as the rest of a sentence behind its name.</summary>
    public static string Reason(string modelType, IEnumerable<string> ours)
    {
        string expected = $"expected one of {string.Join(", ", ours)}";
        if (s_dense.Contains(modelType))
            return $"is not implemented: it is a dense model, without experts to leave out ({expected}); take llama.cpp or vLLM for it";
        if (s_noWriters.Contains(modelType))
            return $"is not implemented: it encodes or translates and is no language model with experts ({expected})";
        return $"is not implemented ({expected})";
    }
}

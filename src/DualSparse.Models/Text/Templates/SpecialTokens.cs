using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>The tokenizer's special tokens that a template may name, such as <c>bos_token</c>.</summary>
internal static class SpecialTokens
{
    private static readonly string[] s_names = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>Those that a folder's tokenizer_config.json or, where that has none, special_tokens_map.json names.</summary>
    /// <exception cref="ModelFormatException">A file is damaged.</exception>
    public static IReadOnlyDictionary<string, string> Of(string folder)
    {
        Dictionary<string, string> tokens = new(StringComparer.Ordinal);
        foreach (string file in (string[])["tokenizer_config.json", "special_tokens_map.json"])
        {
            if (TemplateFiles.Parse(Path.Combine(folder, file)) is not { } config)
                continue;
            foreach (string name in s_names)
            {
                var token = config.Child(name);
                if (!token.IsNull)
                    tokens.TryAdd(name, token.Element.ValueKind == JsonValueKind.Object ? token.Text("content") : token.AsText());
            }
        }

        return tokens;
    }
}

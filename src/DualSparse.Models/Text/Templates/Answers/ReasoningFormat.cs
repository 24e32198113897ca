namespace DualSparse.Models.Text.Templates;

/// <summary>The marks around what a model thinks before it answers.</summary>
internal sealed record ReasoningFormat(string Open, string Close)
{
    private static readonly ReasoningFormat[] s_all =
    [
        new("<think>", "</think>"), new("[THINK]", "[/THINK]"), new("<seed:think>", "</seed:think>"), new("<|START_THINKING|>", "<|END_THINKING|>"),
        new("<|inner_prefix|>", "<|inner_suffix|>"),
    ];

    /// <summary>Those of a template; null: it names none.</summary>
    public static ReasoningFormat? Of(string source) =>
        s_all.FirstOrDefault(format => source.Contains(format.Open, StringComparison.Ordinal) || source.Contains(format.Close, StringComparison.Ordinal));
}

namespace DualSparse.Models.Text.Templates;

/// <summary>How a family of models writes calls of tools.</summary>
/// <param name="Mark">What a template of this family has in it.</param>
/// <param name="Begins">What opens a call, or a list of them.</param>
/// <param name="End">What closes it; empty: the end of the answer.</param>
/// <param name="Read">The calls in what stands between; null or none: it can't be read.</param>
internal sealed record CallFormat(string Mark, string[] Begins, string End, Func<string, ToolSchemas, IReadOnlyList<CallText>?> Read)
{
    // THE table: the first whose mark a template has. Where two share a mark, the one that says more stands first.
    private static readonly CallFormat[] s_all =
    [
        new("<arg_key>", ["<tool_call>"], "</tool_call>", TaggedCalls.Keys),
        new("<parameter=", ["<tool_call>", "<function="], "</function>", TaggedCalls.Functions) { After = "</tool_call>" },
        new("｜DSML｜", ["<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"], "", TaggedCalls.Invokes),
        new("<｜tool▁call▁begin｜>", ["<｜tool▁calls▁begin｜>"], "<｜tool▁calls▁end｜>", SeparatedCalls.DeepSeek),
        new("<|tool_call_begin|>", ["<|tool_calls_section_begin|>"], "<|tool_calls_section_end|>", SeparatedCalls.Kimi),
        new("[TOOL_CALLS]", ["[TOOL_CALLS]"], "[TOOL_CALLS]", SeparatedCalls.Mistral) { EndIsBegin = true, Inner = ["[ARGS]", "[CALL_ID]"] },
        new("<|START_ACTION|>", ["<|START_ACTION|>"], "<|END_ACTION|>", JsonCalls.Read),
        new("<|tools_prefix|>", ["<|tools_prefix|>"], "<|tools_suffix|>", JsonCalls.Read),
        new("<|tool_call|>", ["<|tool_call|>"], "<|/tool_call|>", JsonCalls.Read),
        new("<tool_call>", ["<tool_call>"], "</tool_call>", JsonCalls.Read),
        new("<|python_tag|>", ["<|python_tag|>"], "", JsonCalls.Read) { BareJson = true },
        new("<|start_header_id|>ipython", ["<|python_tag|>"], "", JsonCalls.Read) { BareJson = true },
        new("\"parameters\": dictionary of argument name", ["<|python_tag|>"], "", JsonCalls.Read) { BareJson = true },
    ];

    /// <summary>Whether what closes a call opens the next.</summary>
    public bool EndIsBegin { get; init; }

    /// <summary>Whether an answer that begins with a JSON object is a call.</summary>
    public bool BareJson { get; init; }

    /// <summary>What may follow the end and belongs to it.</summary>
    public string After { get; init; } = "";

    /// <summary>Further marks inside.</summary>
    public string[] Inner { get; init; } = [];

    /// <summary>The format of a template; null: none that is known.</summary>
    public static CallFormat? Of(string source) => s_all.FirstOrDefault(format => source.Contains(format.Mark, StringComparison.Ordinal));

    /// <summary>Whether a special token means something in this format.</summary>
    public bool IsMark(string token) => token == End || token == After || Begins.Contains(token) || Inner.Contains(token) || SeparatedCalls.IsMark(token) || token.Contains("｜DSML｜", StringComparison.Ordinal);
}

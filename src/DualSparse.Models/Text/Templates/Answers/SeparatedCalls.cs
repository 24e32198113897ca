namespace DualSparse.Models.Text.Templates;

/// <summary>Calls whose name and arguments are separated by marks: DeepSeek's, Kimi's and Mistral's.</summary>
internal static class SeparatedCalls
{
    private static readonly string[] s_marks =
    [
        "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "[ARGS]", "[CALL_ID]",
    ];

    /// <summary>Whether a special token is one of these marks.</summary>
    public static bool IsMark(string token) => s_marks.Contains(token);

    /// <summary>name SEP arguments, or type SEP name and arguments in a block of code.</summary>
    public static IReadOnlyList<CallText>? DeepSeek(string body, ToolSchemas tools) => Each(body, s_marks[0], s_marks[2], call =>
    {
        if (Cut(call, s_marks[1]) is not var (before, after))
            return null;
        int fence = after.IndexOf("```json", StringComparison.Ordinal);
        return fence < 0
            ? Call(before, after)
            : Call(after[..fence], after[(fence + 7)..].TrimEnd() is var code && code.EndsWith("```", StringComparison.Ordinal) ? code[..^3] : code);
    });

    /// <summary>functions.name:0 SEP arguments; the first is also the call's id.</summary>
    public static IReadOnlyList<CallText>? Kimi(string body, ToolSchemas tools) => Each(body, s_marks[3], s_marks[5], call =>
    {
        if (Cut(call, s_marks[4]) is not var (id, arguments))
            return null;
        string name = id.Trim();
        name = name.StartsWith("functions.", StringComparison.Ordinal) ? name[10..] : name;
        int number = name.LastIndexOf(':');
        return Call(number < 0 ? name : name[..number], arguments) is { } read ? read with { Id = id.Trim() } : null;
    });

    /// <summary>A list of JSON, or name [CALL_ID] id [ARGS] arguments.</summary>
    public static IReadOnlyList<CallText>? Mistral(string body, ToolSchemas tools)
    {
        if (body.TrimStart() is ['[' or '{', ..] json && !json.StartsWith("[ARGS]", StringComparison.Ordinal))
            return JsonCalls.Read(body, tools);
        if (Cut(body, "[ARGS]") is not var (name, arguments))
            return body.IndexOf('{', StringComparison.Ordinal) is var brace and > 0 && Call(body[..brace], body[brace..]) is { } bare ? [bare] : null;
        string? id = null;
        if (Cut(name, "[CALL_ID]") is var (called, given))
            (name, id) = (called, given.Trim());
        return Call(name, arguments) is { } call ? [call with { Id = id }] : null;
    }

    private static List<CallText>? Each(string body, string begin, string end, Func<string, CallText?> read)
    {
        List<CallText> calls = [];
        for (int at = 0; (at = body.IndexOf(begin, at, StringComparison.Ordinal)) >= 0;)
        {
            at += begin.Length;
            int stop = body.IndexOf(end, at, StringComparison.Ordinal);
            stop = stop < 0 ? body.Length : stop;
            if (read(body[at..stop]) is not { } call)
                return null;
            calls.Add(call);
            at = stop;
        }

        return calls;
    }

    private static CallText? Call(string name, string arguments) =>
        name.Trim() is { Length: > 0 } trimmed && JsonCalls.Object(string.IsNullOrWhiteSpace(arguments) ? "{}" : arguments) is { } json ? new(trimmed, json) : null;

    private static (string Before, string After)? Cut(string text, string mark) =>
        text.IndexOf(mark, StringComparison.Ordinal) is var at and >= 0 ? (text[..at], text[(at + mark.Length)..]) : null;
}

namespace DualSparse.Models.Text.Templates;

/// <summary>Reads answers in which marks such as <c>&lt;think&gt;</c> and <c>&lt;tool_call&gt;</c> stand around reasoning and calls.</summary>
internal sealed class MarkerReader : AnswerReader
{
    private readonly CallFormat? format;
    private readonly ReasoningFormat? reasoning;
    private readonly ToolSchemas tools;
    private State state;

    // The mark that opened the call, and how far its end was looked for.
    private string opened = "";
    private int searched;

    /// <summary>A reader of one answer.</summary>
    public MarkerReader(CallFormat? format, ReasoningFormat? reasoning, string prompt, ToolSchemas tools)
    {
        (this.format, this.reasoning, this.tools) = (format, reasoning, tools);
        state = reasoning is not null && prompt.AsSpan().TrimEnd().EndsWith(reasoning.Open, StringComparison.Ordinal) ? State.Reasoning : State.Start;
    }

    private enum State
    {
        Start,
        AfterReasoning,
        Content,
        Reasoning,
        Call,
        AfterCall,
    }

    /// <inheritdoc/>
    public override bool IsMark(string token) =>
        (reasoning is not null && (token == reasoning.Open || token == reasoning.Close)) || (format?.IsMark(token) ?? false);

    /// <inheritdoc/>
    public override void Advance(bool final)
    {
        while (state switch
        {
            State.Start or State.AfterReasoning => ReadStart(final),
            State.Reasoning => ReadReasoning(final),
            State.Call => ReadCall(final),
            State.AfterCall => ReadAfterCall(final),
            _ => ReadContent(final),
        })
        {
        }

        if (final)
            GiveSpace();
    }

    // Before any content: reasoning may open, or an answer that is a call from its first character on.
    private bool ReadStart(bool final)
    {
        string text = Pending.TrimStart();
        if (text.Length == 0 && !final)
            return false;
        bool mayOpen = reasoning is not null && state == State.Start;
        if (mayOpen && text.StartsWith(reasoning!.Open, StringComparison.Ordinal))
        {
            Pending = text[reasoning.Open.Length..];
            state = State.Reasoning;
            return true;
        }

        if (mayOpen && !final && reasoning!.Open.StartsWith(text, StringComparison.Ordinal))
            return false;
        state = State.Content;
        if (format is { BareJson: true } && text.StartsWith('{'))
            (Pending, state, opened, searched) = (text, State.Call, "", 0);
        return true;
    }

    private bool ReadReasoning(bool final)
    {
        int close = Pending.IndexOf(reasoning!.Close, StringComparison.Ordinal);
        if (close >= 0)
        {
            Give(AnswerDeltaKind.Reasoning, Pending[..close]);
            Pending = Pending[(close + reasoning.Close.Length)..].TrimStart();
            state = State.AfterReasoning;
            return true;
        }

        Emit(AnswerDeltaKind.Reasoning, final ? 0 : Undecided(Pending, [reasoning.Close]));
        return false;
    }

    private bool ReadContent(bool final)
    {
        if (format is not null)
        {
            var (at, mark) = format.Begins.Select(begin => (At: Pending.IndexOf(begin, StringComparison.Ordinal), Mark: begin)).Where(found => found.At >= 0)
                .DefaultIfEmpty((-1, "")).MinBy(found => (found.Item1, -found.Item2.Length));
            if (at >= 0)
            {
                Give(AnswerDeltaKind.Content, Pending[..at]);
                (Pending, state, opened, searched) = (Pending[(at + mark.Length)..], State.Call, mark, 0);
                return true;
            }
        }

        Emit(AnswerDeltaKind.Content, final || format is null ? 0 : Undecided(Pending, format.Begins));
        return false;
    }

    private bool ReadCall(bool final)
    {
        // An end inside an argument's text leaves a body that can't be read: then the next one counts.
        for (int end; (end = format!.End.Length == 0 ? -1 : Pending.IndexOf(format.End, searched, StringComparison.Ordinal)) >= 0; searched = end + 1)
        {
            if (Read(Pending[..end]) is not { Count: > 0 } calls)
                continue;
            Give(calls);
            Pending = Pending[(end + (format.EndIsBegin ? 0 : format.End.Length))..];
            state = format.After.Length > 0 ? State.AfterCall : State.Content;
            return true;
        }

        searched = Math.Max(searched, Pending.Length - Math.Max(0, format.End.Length - 1));
        if (!final)
            return false;
        if (Read(Pending) is { Count: > 0 } last)
            Give(last);
        else
            Give(AnswerDeltaKind.Content, opened + Pending);
        Pending = "";
        state = State.Content;
        return false;
    }

    // JSON that nothing marks as a call is one where it names a tool.
    private IReadOnlyList<CallText>? Read(string body) =>
        format!.Read(body, tools) is { } calls && (opened.Length > 0 || calls.All(call => tools.Has(call.Name))) ? calls : null;

    // What closes the call around what closed it.
    private bool ReadAfterCall(bool final)
    {
        string text = Pending.TrimStart();
        if (!final && text.Length < format!.After.Length && format.After.StartsWith(text, StringComparison.Ordinal))
            return false;
        Pending = text.StartsWith(format!.After, StringComparison.Ordinal) ? text[format.After.Length..] : Pending;
        state = State.Content;
        return true;
    }

    private void Emit(AnswerDeltaKind kind, int keep)
    {
        if (Pending.Length > keep)
            Give(kind, Pending[..^keep]);
        Pending = Pending[(Pending.Length - keep)..];
    }
}

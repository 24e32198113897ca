using System.Text.RegularExpressions;

namespace DualSparse.Models.Text.Templates;

/// <summary>Reads answers in channels, as gpt-oss writes them: a header says whether a message is reasoning, content, or a call and of what.</summary>
internal sealed partial class HarmonyReader : AnswerReader
{
    /// <summary>What a template of this format has in it.</summary>
    public const string Mark = "<|channel|>";

    private const string MessageMark = "<|message|>";

    private static readonly string[] s_ends = ["<|end|>", "<|call|>", "<|return|>", "<|start|>"];
    private static readonly string[] s_marks = [Mark, MessageMark, "<|constrain|>", .. s_ends];

    // Null: in a header. The prompt ends inside the first.
    private string? header;

    /// <inheritdoc/>
    public override bool IsMark(string token) => s_marks.Contains(token);

    /// <inheritdoc/>
    public override void Advance(bool final)
    {
        while (header is null ? ReadHeader(final) : ReadMessage(final))
        {
        }

        if (final)
            GiveSpace();
    }

    private bool ReadHeader(bool final)
    {
        int end = Pending.IndexOf(MessageMark, StringComparison.Ordinal);
        if (end >= 0)
        {
            header = Pending[..end];
            Pending = Pending[(end + MessageMark.Length)..];
            return true;
        }

        if (final)
        {
            // No message came: what the model wrote is content.
            string text = s_marks.Aggregate(Pending, (rest, mark) => rest.Replace(mark, "", StringComparison.Ordinal));
            Pending = "";
            Give(AnswerDeltaKind.Content, text);
        }

        return false;
    }

    private bool ReadMessage(bool final)
    {
        var (at, mark) = s_ends.Select(end => (At: Pending.IndexOf(end, StringComparison.Ordinal), Mark: end)).Where(found => found.At >= 0).DefaultIfEmpty((-1, "")).MinBy(found => found.Item1);
        string? tool = Recipient().Match(header!) is { Success: true } match ? match.Groups[1].Value : null;
        if (tool is not null)
        {
            if (at < 0 && !final)
                return false;
            string body = at < 0 ? Pending : Pending[..at];
            if (JsonCalls.Object(string.IsNullOrWhiteSpace(body) ? "{}" : body) is { } arguments)
                Give([new CallText(tool, arguments)]);
            else
                Give(AnswerDeltaKind.Content, body);
            Pending = at < 0 ? "" : Pending[at..];
        }
        else
        {
            var kind = header!.Contains(Mark + "analysis", StringComparison.Ordinal) ? AnswerDeltaKind.Reasoning : AnswerDeltaKind.Content;
            int decided = at >= 0 ? at : Pending.Length - (final ? 0 : Undecided(Pending, s_ends));
            if (decided > 0)
                Give(kind, Pending[..decided]);
            Pending = Pending[decided..];
        }

        if (at < 0)
            return false;
        (header, Pending) = (null, Pending[mark.Length..]);
        return true;
    }

    [GeneratedRegex(@"to=(?:functions\.)?([\w.\-]+)")]
    private static partial Regex Recipient();
}

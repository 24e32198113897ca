using System.Security.Cryptography;

namespace DualSparse.Models.Text.Templates;

/// <summary>What is common to the ways in which models write answers: text that waits, and pieces that are ready.</summary>
internal abstract class AnswerReader
{
    private List<AnswerDelta> deltas = [];
    private int calls;

    // White space behind the text that was given: it is dropped where a mark follows.
    private string heldSpace = "";
    private AnswerDeltaKind last = AnswerDeltaKind.Content;

    /// <summary>Text that isn't decided yet.</summary>
    public string Pending { get; set; } = "";

    /// <summary>Goes as far as <see cref="Pending"/> decides; to its end, where nothing more comes.</summary>
    public abstract void Advance(bool final);

    /// <summary>Whether a special token is a mark of this way to write.</summary>
    public abstract bool IsMark(string token);

    /// <summary>The pieces that are ready.</summary>
    public IReadOnlyList<AnswerDelta> TakeDeltas()
    {
        var ready = deltas;
        deltas = [];
        return ready;
    }

    /// <summary>Gives text: without the white space at its beginning, where something else came before, and at its end, until more of it comes.</summary>
    protected void Give(AnswerDeltaKind kind, string text)
    {
        text = last == kind ? heldSpace + text : text.TrimStart();
        string given = text.TrimEnd();
        if (given.Length > 0)
            deltas.Add(new(kind, given));
        if (given.Length == 0 && last != kind)
            return;
        heldSpace = text[given.Length..];
        last = kind;
    }

    /// <summary>Gives the white space that was held back: it was part of the text.</summary>
    protected void GiveSpace()
    {
        if (heldSpace.Length > 0 && last == AnswerDeltaKind.Content)
            deltas.Add(new(last, heldSpace));
        heldSpace = "";
    }

    /// <summary>Gives calls.</summary>
    protected void Give(IEnumerable<CallText> found)
    {
        foreach (var call in found)
        {
            deltas.Add(new(AnswerDeltaKind.ToolCall, "", calls, call.Id ?? NewId(), call.Name));
            deltas.Add(new(AnswerDeltaKind.Arguments, call.Arguments, calls++));
        }

        (last, heldSpace) = (AnswerDeltaKind.ToolCall, "");
    }

    /// <summary>How much at the end of a text may be the beginning of one of the marks.</summary>
    protected static int Undecided(string text, IEnumerable<string> marks)
    {
        int most = 0;
        foreach (string mark in marks)
        {
            for (int length = Math.Min(mark.Length - 1, text.Length); length > most; length--)
            {
                if (text.AsSpan(text.Length - length).SequenceEqual(mark.AsSpan(0, length)))
                    most = length;
            }
        }

        return most;
    }

    // Some templates refuse ids that aren't nine letters or digits.
    private static string NewId() => RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 9);
}

/// <summary>A call as the model wrote it.</summary>
/// <param name="Name">The tool.</param>
/// <param name="Arguments">A JSON object.</param>
/// <param name="Id">The id that the model gave it; null: none.</param>
internal sealed record CallText(string Name, string Arguments, string? Id = null);

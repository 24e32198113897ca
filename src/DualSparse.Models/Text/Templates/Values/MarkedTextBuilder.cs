using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>Puts strings together, with their origins. Every character counts against the rendering's allowance.</summary>
internal sealed class MarkedTextBuilder(Allowance allowance)
{
    private readonly StringBuilder text = new();
    private readonly List<TextRun> runs = [];

    /// <summary>Characters so far.</summary>
    public int Length => text.Length;

    /// <summary>Appends a string.</summary>
    public MarkedTextBuilder Append(MarkedText part) => Append(part, 0, part.Value.Length);

    /// <summary>Appends the characters of a string from <paramref name="start"/> up to <paramref name="end"/>.</summary>
    public MarkedTextBuilder Append(MarkedText part, int start, int end)
    {
        int begin = 0;
        foreach (var run in part.Runs)
        {
            int from = Math.Max(begin, start), to = Math.Min(run.End, end);
            if (from < to)
                Append(part.Value.AsSpan(from, to - from), run.Origin);
            begin = run.End;
        }

        return this;
    }

    /// <summary>Appends characters.</summary>
    public MarkedTextBuilder Append(ReadOnlySpan<char> characters, TextOrigin origin = TextOrigin.Template)
    {
        if (characters.Length == 0)
            return this;
        allowance.Take(characters.Length);
        text.Append(characters);
        Mark(origin);
        return this;
    }

    /// <summary>Appends a character many times.</summary>
    public MarkedTextBuilder Append(char character, long times)
    {
        if (times <= 0)
            return this;
        allowance.Take(times);
        text.Append(character, (int)times);
        Mark(TextOrigin.Template);
        return this;
    }

    /// <summary>What was put together.</summary>
    public MarkedText Build(bool markup = false) => text.Length == 0 && !markup ? MarkedText.Empty : new(text.ToString(), [.. runs], markup);

    private void Mark(TextOrigin origin)
    {
        var run = new TextRun(text.Length, origin);
        if (runs.Count > 0 && runs[^1].Origin == origin)
            runs[^1] = run;
        else
            runs.Add(run);
    }
}

namespace DualSparse.Models.Text.Templates;

/// <summary>
/// A string of the template language. Each character carries who wrote it, through whatever the template does with the string. Python counts
/// in code points, and so do the methods that say so. Immutable.
/// </summary>
internal sealed class MarkedText : IEquatable<MarkedText>
{
    /// <summary>The empty string.</summary>
    public static readonly MarkedText Empty = new("", TextOrigin.Template);

    // Where surrogates are, every so many code points their place is noted.
    private const int Spacing = 64;

    private readonly TextRun[] runs;
    private int codePoints = -1;
    private int[]? places;

    /// <summary>A string of one origin.</summary>
    public MarkedText(string value, TextOrigin origin = TextOrigin.Template, bool isMarkup = false)
        : this(value, value.Length == 0 ? [] : [new(value.Length, origin)], isMarkup)
    {
    }

    /// <summary>A string of several origins: runs in order, the last of which ends where the string does.</summary>
    public MarkedText(string value, TextRun[] runs, bool isMarkup = false) => (Value, this.runs, IsMarkup) = (value, runs, isMarkup);

    /// <summary>The characters.</summary>
    public string Value { get; }

    /// <summary>Whether the filter <c>safe</c> or <c>escape</c> made it: added to another string, it has that one escaped.</summary>
    public bool IsMarkup { get; }

    /// <summary>Its origins, in order.</summary>
    public ReadOnlySpan<TextRun> Runs => runs;

    /// <summary>Its length in code points.</summary>
    public int Count
    {
        get
        {
            if (codePoints < 0)
            {
                int pairs = 0;
                if (Value.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
                {
                    for (int i = 0; i + 1 < Value.Length; i++)
                    {
                        if (char.IsSurrogatePair(Value[i], Value[i + 1]))
                            (pairs, i) = (pairs + 1, i + 1);
                    }
                }

                codePoints = Value.Length - pairs;
            }

            return codePoints;
        }
    }

    /// <summary>Where the code point of this number begins.</summary>
    public int Offset(int codePoint)
    {
        if (Count == Value.Length)
            return codePoint;
        int offset = Places[codePoint / Spacing];
        for (int left = codePoint % Spacing; left > 0; left--)
            offset += Width(offset);
        return offset;
    }

    /// <summary>The number of the code point that begins here.</summary>
    public int CodePoint(int offset)
    {
        if (Count == Value.Length)
            return offset;
        int place = Array.BinarySearch(Places, offset);
        place = place < 0 ? ~place - 1 : place;
        int number = place * Spacing;
        for (int at = Places[place]; at < offset; at += Width(at))
            number++;
        return number;
    }

    /// <summary>How many characters the code point has that begins here.</summary>
    public int Width(int offset) => offset + 1 < Value.Length && char.IsSurrogatePair(Value[offset], Value[offset + 1]) ? 2 : 1;

    private int[] Places
    {
        get
        {
            if (places is not null)
                return places;
            List<int> found = [];
            int number = 0;
            for (int at = 0; at < Value.Length; at += Width(at))
            {
                if (number++ % Spacing == 0)
                    found.Add(at);
            }

            if (number % Spacing == 0)
                found.Add(Value.Length);
            return places = [.. found];
        }
    }

    /// <summary>The characters from <paramref name="start"/> up to <paramref name="end"/>.</summary>
    public MarkedText Slice(int start, int end)
    {
        if (start >= end)
            return Empty;
        if (start == 0 && end == Value.Length)
            return this;
        if (runs.Length == 1)
            return new(Value[start..end], [runs[0] with { End = end - start }]);
        List<TextRun> cut = [];
        int begin = 0;
        foreach (var run in runs)
        {
            int from = Math.Max(begin, start), to = Math.Min(run.End, end);
            if (from < to)
                cut.Add(run with { End = to - start });
            begin = run.End;
        }

        return new(Value[start..end], [.. cut]);
    }

    /// <summary>The same characters, as the filter <c>safe</c> gives them.</summary>
    public MarkedText AsMarkup(bool markup) => markup == IsMarkup ? this : new(Value, runs, markup);

    /// <inheritdoc/>
    public bool Equals(MarkedText? other) => other is not null && Value == other.Value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is MarkedText other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Value.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>Characters of one origin: those before <paramref name="End"/> that no run before has.</summary>
internal readonly record struct TextRun(int End, TextOrigin Origin);

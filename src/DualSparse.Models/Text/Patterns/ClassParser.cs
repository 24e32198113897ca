namespace DualSparse.Models.Text.Patterns;

/// <summary>Reads a class in brackets: characters, ranges, escapes, POSIX brackets, classes within it, and &amp;&amp; (what both sides have).</summary>
internal sealed class ClassParser
{
    private readonly PatternCursor cursor;
    private readonly int depth;
    private readonly bool negated;
    private readonly bool negatedWithin; // it is within another class, and it or one between the two is negated

    private ClassParser(PatternCursor cursor, int depth, ClassParser? outer)
    {
        (this.cursor, this.depth) = (cursor, depth);
        if (depth > PatternParser.MaxDepth)
            throw new NotSupportedException($"more than {PatternParser.MaxDepth} brackets within each other");
        negated = cursor.Take("^");
        negatedWithin = outer is not null && (negated || outer.negatedWithin);
    }

    /// <summary>Reads from after the opening bracket to after the closing one.</summary>
    /// <param name="cursor">The pattern.</param>
    /// <param name="depth">How many parentheses are open.</param>
    /// <returns>The set, before negation, and whether it is negated.</returns>
    public static (CodePointSet Set, bool Negated) Read(PatternCursor cursor, int depth)
    {
        var parser = new ClassParser(cursor, depth, null);
        return (parser.Read(), parser.negated);
    }

    private CodePointSet Read()
    {
        CodePointSet? both = null;
        var set = CodePointSet.None;
        int previous = -1; // the character that a - could begin a range from
        bool afterSet = false; // a - after a set is text only before the end
        for (bool first = true; ; first = false)
        {
            if (cursor.AtEnd)
                throw new ArgumentException("a class without a closing bracket");
            if (cursor.Next == ']' && !first)
            {
                cursor.At++;
                return both?.Intersect(set) ?? set;
            }

            if (cursor.Take("&&"))
            {
                both = both?.Intersect(set) ?? set;
                (set, previous, afterSet) = (CodePointSet.None, -1, false);
                continue;
            }

            if (first && cursor.Next == ']' && !HasEnd())
                throw new ArgumentException("an empty class");
            if ((previous >= 0 || afterSet) && IsRange())
            {
                if (afterSet)
                    throw new ArgumentException("a range that begins with a set");
                cursor.At++;
                set = set.Union(Range(previous));
                previous = -1;
                continue;
            }

            (CodePointSet? part, int code) = Item();
            set = set.Union(part ?? CodePointSet.Range(code, code));
            (previous, afterSet) = (part is null ? code : -1, part is not null);
        }
    }

    private bool IsRange() => cursor.Next == '-' && cursor.Peek(1) is not ']' and not '[' && !(cursor.Peek(1) == '&' && cursor.Peek(2) == '&');

    private CodePointSet Range(int first)
    {
        (CodePointSet? set, int last) = Item();
        if (set is not null || last < first)
            throw new ArgumentException("a range that doesn't end in a character after its first");

        // Oniguruma takes such a range for another where it is negated within a class.
        return negatedWithin && first == 0 && last > 0x7F
            ? throw new NotSupportedException("a range from U+0000 in a negated class within another")
            : CodePointSet.Range(first, last);
    }

    // A closing bracket that comes first is text where another follows.
    private bool HasEnd()
    {
        for (int i = 1; cursor.Peek(i) is int code and >= 0; i++)
        {
            if (code == ']')
                return true;
        }

        return false;
    }

    private (CodePointSet? Set, int Code) Item()
    {
        if (cursor.AtEnd)
            throw new ArgumentException("a class without a closing bracket");
        if (cursor.StartsWith("[:") && Posix() is { } posix)
            return (posix, -1);
        int code = cursor.Take();
        switch (code)
        {
            case '[':
                var inner = new ClassParser(cursor, depth + 1, this);
                CodePointSet set = inner.Read();
                return (inner.negated ? set.Complement() : set, -1);
            case '\\' when cursor.AtEnd:
                throw new ArgumentException("a backslash at the end");
            case '\\':
                int kind = cursor.Take();
                return kind == 'b' ? (null, '\b') : cursor.TakeEscape(kind, inClass: true);
            default:
                return (null, code);
        }
    }

    // [:name:] or [:^name:]; a bracket of another kind is left to be read as a class.
    private CodePointSet? Posix()
    {
        int start = cursor.At;
        cursor.At += 2;
        bool without = cursor.Take("^");
        int length = 0;
        while (cursor.Peek(length) is >= 'a' and <= 'z')
        {
            length++;
        }

        string name = string.Concat(Enumerable.Range(0, length).Select(i => (char)cursor.Peek(i)));
        cursor.At += length;
        if (!cursor.Take(":]"))
        {
            cursor.At = start;
            return null;
        }

        CodePointSet set = UnicodeProperties.FindPosix(name) ?? throw new ArgumentException($"[:{name}:] is no POSIX bracket");
        return without ? set.Complement() : set;
    }
}

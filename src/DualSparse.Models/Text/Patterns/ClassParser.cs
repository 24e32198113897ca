namespace DualSparse.Models.Text.Patterns;

/// <summary>Reads a class in brackets: characters, ranges, escapes, POSIX brackets, classes within it, and &amp;&amp; (what both sides have).</summary>
internal static class ClassParser
{
    /// <summary>Reads from after the opening bracket to after the closing one.</summary>
    /// <param name="cursor">The pattern.</param>
    /// <param name="depth">How many brackets and parentheses are open.</param>
    /// <returns>The set, before negation, and whether it is negated.</returns>
    public static (CodePointSet Set, bool Negated) Read(PatternCursor cursor, int depth)
    {
        if (depth > PatternParser.MaxDepth)
            throw new NotSupportedException($"more than {PatternParser.MaxDepth} brackets within each other");
        bool negated = cursor.Take("^");
        CodePointSet? both = null;
        var set = CodePointSet.None;
        int previous = -1; // the character that a - could begin a range from
        bool afterSet = false; // a - after a set is text only before the end
        for (bool first = true; ; first = false)
        {
            int start = cursor.At;
            if (cursor.AtEnd)
                throw new ArgumentException("a class without a closing bracket");
            if (cursor.Next == ']' && !first)
            {
                cursor.At++;
                return (both?.Intersect(set) ?? set, negated);
            }

            if (cursor.Take("&&"))
            {
                both = both?.Intersect(set) ?? set;
                (set, previous, afterSet) = (CodePointSet.None, -1, false);
                continue;
            }

            if (cursor.Next == '-' && !first && (previous >= 0 || afterSet) && cursor.Peek(1) is not ']' and not '[' && !(cursor.Peek(1) == '&' && cursor.Peek(2) == '&'))
            {
                cursor.At++;
                if (afterSet)
                    throw new ArgumentException("a range that begins with a set");
                (CodePointSet? upper, int last) = Item(cursor, depth);
                if (upper is not null || last < previous)
                    throw new ArgumentException("a range that doesn't end in a character after its first");
                set = set.Union(CodePointSet.Range(previous, last));
                previous = -1;
                continue;
            }

            (CodePointSet? part, int code) = Item(cursor, depth);
            set = set.Union(part ?? CodePointSet.Range(code, code));
            (previous, afterSet) = (part is null ? code : -1, part is not null);
            if (first && code == ']' && cursor.At == start + 1 && !HasEnd(cursor))
                throw new ArgumentException("an empty class");
        }
    }

    private static bool HasEnd(PatternCursor cursor)
    {
        for (int i = 0; cursor.Peek(i) is int c and >= 0; i++)
        {
            if (c == ']')
                return true;
        }

        return false;
    }

    private static (CodePointSet? Set, int Code) Item(PatternCursor cursor, int depth)
    {
        if (cursor.AtEnd)
            throw new ArgumentException("a class without a closing bracket");
        if (cursor.StartsWith("[:") && Posix(cursor) is { } posix)
            return (posix, -1);
        int code = cursor.Take();
        switch (code)
        {
            case '[':
                (CodePointSet inner, bool negated) = Read(cursor, depth + 1);
                return (negated ? inner.Complement() : inner, -1);
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
    private static CodePointSet? Posix(PatternCursor cursor)
    {
        int start = cursor.At;
        cursor.At += 2;
        bool negated = cursor.Take("^");
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
        return negated ? set.Complement() : set;
    }
}

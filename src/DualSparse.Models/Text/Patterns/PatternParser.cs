namespace DualSparse.Models.Text.Patterns;

/// <summary>
/// Reads a pattern in Oniguruma's own syntax, that of the tokenizers library. What can't be matched exactly as there is refused:
/// <see cref="NotSupportedException"/> names the part, <see cref="ArgumentException"/> says why it is no pattern.
/// </summary>
internal sealed class PatternParser
{
    /// <summary>How deep brackets and parentheses may be nested; patterns in use need three or four.</summary>
    public const int MaxDepth = 100;

    // Oniguruma's own limit.
    private const int MaxRepeats = 100_000;

    private readonly PatternCursor cursor;
    private Flags flags;
    private int depth;
    private int lookBehinds;

    private record struct Flags(bool IgnoreCase, bool DotMatchesAll, bool Extended);

    private PatternParser(string source) => cursor = new(source);

    /// <summary>Reads a whole pattern.</summary>
    public static PatternNode Parse(string source)
    {
        var parser = new PatternParser(source);
        PatternNode node = parser.Alternatives();
        return parser.cursor.AtEnd ? node : throw new ArgumentException("a closing parenthesis too many");
    }

    private PatternNode Alternatives()
    {
        List<PatternNode> branches = [Sequence()];
        while (cursor.Take("|"))
        {
            branches.Add(Sequence());
        }

        return branches is [var only] ? only : new AlternativesNode(branches);
    }

    private SequenceNode Sequence()
    {
        List<PatternNode> parts = [];
        while (true)
        {
            SkipComments();
            if (cursor.AtEnd || cursor.Next is '|' or ')')
                return new(parts);
            PatternNode part = Repeated(Atom());
            if (part is SequenceNode sequence)
                parts.AddRange(sequence.Parts);
            else
                parts.Add(part);
        }
    }

    private void SkipComments()
    {
        while (true)
        {
            if (cursor.Take("(?#"))
            {
                while (!cursor.AtEnd && cursor.Next != ')')
                {
                    cursor.At += cursor.Next == '\\' ? 2 : 1;
                }

                if (cursor.AtEnd)
                    throw new ArgumentException("a comment without an end");
                cursor.At++;
            }
            else if (flags.Extended && cursor.Next is ' ' or (>= '\t' and <= '\r') && flags.Extended)
            {
                cursor.At++;
            }
            else if (flags.Extended && cursor.Next == '#')
            {
                while (!cursor.AtEnd && cursor.Take() != '\n')
                {
                }
            }
            else
            {
                return;
            }
        }
    }

    private PatternNode Atom()
    {
        int code = cursor.Take();
        switch (code)
        {
            case '(':
                return Group();
            case '[':
                return Class();
            case '\\':
                return Escape();
            case '.':
                return new SetNode(flags.DotMatchesAll ? CodePointSet.All : CodePointSet.Of('\n').Complement());
            case '^':
                return new PlaceNode(PlaceKind.LineStart);
            case '$':
                return new PlaceNode(PlaceKind.LineEnd);
            case '?' or '*' or '+':
                throw new ArgumentException($"{(char)code} repeats nothing");
            default:
                if (code == '{' && Interval() is not null)
                    throw new ArgumentException("an interval repeats nothing");
                return new LiteralNode(code, flags.IgnoreCase);
        }
    }

    private SetNode Class()
    {
        (CodePointSet set, bool negated) = ClassParser.Read(cursor, depth);
        if (flags.IgnoreCase)
        {
            (set, IReadOnlyList<int[]> texts) = CaseFolding.OfClass(set);
            return negated ? new(set.Complement()) : new(set) { Texts = texts };
        }

        return new(negated ? set.Complement() : set);
    }

    private PatternNode Escape()
    {
        if (cursor.AtEnd)
            throw new ArgumentException("a backslash at the end");
        int kind = cursor.Take();
        switch (kind)
        {
            case 'A':
                return new PlaceNode(PlaceKind.TextStart);
            case 'z':
                return new PlaceNode(PlaceKind.TextEnd);
            case 'Z':
                return new PlaceNode(PlaceKind.LastLineEnd);
            case 'b':
                return new PlaceNode(PlaceKind.WordEdge);
            case 'B':
                return new PlaceNode(PlaceKind.NoWordEdge);
            case 'N':
                return new SetNode(CodePointSet.Of('\n').Complement());
            case 'O':
                return new SetNode(CodePointSet.All);
            case 'R' when lookBehinds == 0:
                var pair = new SequenceNode([new LiteralNode('\r', false), new LiteralNode('\n', false)]);
                var lineEnds = new SetNode(CodePointSet.OfRanges([('\n', '\r'), (0x85, 0x85), (0x2028, 0x2029)]));
                return new GroupNode(GroupKind.Atomic, new AlternativesNode([pair, lineEnds]));
        }

        (CodePointSet? set, int code) = cursor.TakeEscape(kind, inClass: false);
        return set is null ? new LiteralNode(code, flags.IgnoreCase) : new SetNode(set);
    }

    private PatternNode Group()
    {
        if (++depth > MaxDepth)
            throw new NotSupportedException($"more than {MaxDepth} parentheses within each other");
        Flags outer = flags;
        bool transparent = false;
        var kind = GroupKind.Plain;
        if (cursor.Next == '*')
            throw new NotSupportedException("a callout (*…)");
        if (cursor.Take("?:"))
            transparent = true;
        else if (cursor.Take("?="))
            kind = GroupKind.Ahead;
        else if (cursor.Take("?!"))
            kind = GroupKind.NotAhead;
        else if (cursor.Take("?<="))
            kind = GroupKind.Behind;
        else if (cursor.Take("?<!"))
            kind = GroupKind.NotBehind;
        else if (cursor.Take("?>"))
            kind = GroupKind.Atomic;
        else if (cursor.Take("?<"))
            TakeName('>');
        else if (cursor.Take("?'"))
            TakeName('\'');
        else if (cursor.Take("?") && !TakeFlags())
            return Rest(outer);

        if (lookBehinds > 0 && kind != GroupKind.Plain)
            throw new NotSupportedException("a look-around or an atomic group within a look-behind");
        bool behind = kind is GroupKind.Behind or GroupKind.NotBehind;
        lookBehinds += behind ? 1 : 0;
        PatternNode body = Alternatives();
        lookBehinds -= behind ? 1 : 0;
        if (!cursor.Take(")"))
            throw new ArgumentException("a parenthesis without its closing one");
        flags = outer;
        depth--;
        return transparent ? body : new GroupNode(kind, body);
    }

    private void TakeName(char end)
    {
        string? name = cursor.TakeUntil(end);
        if (name is null || name.Length == 0 || !UnicodeProperties.Word.Contains(char.ConvertToUtf32(name, 0)) || char.IsAsciiDigit(name[0]))
            throw new ArgumentException("a group whose name is no word");
    }

    /// <summary>Takes flags that begin a group; false where they stand alone, for the rest of the parentheses around them.</summary>
    private bool TakeFlags()
    {
        bool on = true;
        for (bool first = true; ; first = false)
        {
            if (cursor.AtEnd)
                throw new ArgumentException("a parenthesis without its closing one");
            int c = cursor.Take();
            switch (c)
            {
                case '-':
                    on = false;
                    break;
                case 'i':
                    flags.IgnoreCase = on;
                    break;
                case 'm':
                    flags.DotMatchesAll = on;
                    break;
                case 'x':
                    flags.Extended = on;
                    break;
                case ':' or ')' when !first:
                    return c == ':';
                default:
                    throw new NotSupportedException($"(?{(c > 0x1F ? char.ConvertFromUtf32(c) : "")}…)");
            }
        }
    }

    /// <summary>Flags without a part of their own hold to the end of the parentheses, and take the alternatives after them along.</summary>
    private GroupNode Rest(Flags outer)
    {
        PatternNode body = Alternatives();
        flags = outer;
        depth--;
        return new(GroupKind.Plain, body);
    }

    private PatternNode Repeated(PatternNode atom)
    {
        while (true)
        {
            SkipComments();
            if (cursor.Next is not ('?' or '*' or '+' or '{'))
                return atom;
            if (cursor.Next == '{')
            {
                if (Interval() is not (int min, int max))
                    return atom;
                CheckRepeats(atom);

                // What stands after an exact interval is a quantifier of its own, and so is a + after any.
                atom = Repeat(atom, min, max, lazy: min != max && cursor.Take("?"));
                continue;
            }

            CheckRepeats(atom);
            int kind = cursor.Take();
            (int from, int to) = kind switch { '?' => (0, 1), '*' => (0, -1), _ => (1, -1) };
            if (cursor.Take("+"))
                atom = new GroupNode(GroupKind.Atomic, new RepeatNode(atom, from, to, Lazy: false));
            else
                atom = Repeat(atom, from, to, lazy: cursor.Take("?"));
            if (lookBehinds > 0 && atom is GroupNode)
                throw new NotSupportedException("a possessive quantifier within a look-behind");
        }
    }

    // .NET and Oniguruma differ in when such a loop ends.
    private static RepeatNode Repeat(PatternNode body, int min, int max, bool lazy) => lazy && max != 1 && MayBeEmpty(body)
        ? throw new NotSupportedException("a lazy quantifier after what may be empty")
        : new(body, min, max, lazy);

    private static bool MayBeEmpty(PatternNode node) => node switch
    {
        SequenceNode sequence => sequence.Parts.All(MayBeEmpty),
        AlternativesNode alternatives => alternatives.Branches.Any(MayBeEmpty),
        RepeatNode repeat => repeat.Min == 0 || MayBeEmpty(repeat.Body),
        GroupNode { Kind: GroupKind.Plain or GroupKind.Atomic } group => MayBeEmpty(group.Body),
        GroupNode or PlaceNode => true,
        _ => false,
    };

    private static void CheckRepeats(PatternNode atom)
    {
        if (atom is PlaceNode or GroupNode { Kind: not (GroupKind.Plain or GroupKind.Atomic) } or SequenceNode { Parts: [PlaceNode] })
            throw new ArgumentException("a quantifier after a place in the text, which can't repeat");
    }

    // {n}, {n,}, {,m} or {n,m}; anything else is text.
    private (int Min, int Max)? Interval()
    {
        int start = cursor.At;
        cursor.Take("{");
        int? low = cursor.TakeNumber();
        bool range = cursor.Take(",");
        int? high = range ? cursor.TakeNumber() : low;
        if ((low is null && high is null) || !cursor.Take("}"))
        {
            cursor.At = start;
            return null;
        }

        if (low > MaxRepeats || high > MaxRepeats)
            throw new ArgumentException($"an interval beyond {MaxRepeats}");
        return high < low
            ? throw new NotSupportedException($"the interval {{{low},{high}}}, whose bounds are the wrong way round")
            : (low ?? 0, high ?? -1);
    }
}

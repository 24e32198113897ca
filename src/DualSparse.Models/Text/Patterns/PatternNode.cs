namespace DualSparse.Models.Text.Patterns;

/// <summary>A part of a regular expression.</summary>
internal abstract record PatternNode;

/// <summary>One character of a set.</summary>
internal sealed record SetNode(CodePointSet Set) : PatternNode
{
    /// <summary>Where case is ignored, texts of several characters that match as well: what ß is for ss.</summary>
    public IReadOnlyList<int[]> Texts { get; init; } = [];
}

/// <summary>One character, in any case where <paramref name="AnyCase"/> is set. Those in a row are one text.</summary>
internal sealed record LiteralNode(int Code, bool AnyCase) : PatternNode;

/// <summary>One after another.</summary>
internal sealed record SequenceNode(IReadOnlyList<PatternNode> Parts) : PatternNode;

/// <summary>The first of these that leads to a match.</summary>
internal sealed record AlternativesNode(IReadOnlyList<PatternNode> Branches) : PatternNode;

/// <summary>The same several times, as often as possible or, when <paramref name="Lazy"/>, as seldom; <paramref name="Max"/> -1 is without end.</summary>
internal sealed record RepeatNode(PatternNode Body, int Min, int Max, bool Lazy) : PatternNode;

/// <summary>A part in parentheses.</summary>
internal sealed record GroupNode(GroupKind Kind, PatternNode Body) : PatternNode;

/// <summary>A place in the text.</summary>
internal sealed record PlaceNode(PlaceKind Kind) : PatternNode;

/// <summary>What parentheses do.</summary>
internal enum GroupKind
{
    /// <summary>They hold together.</summary>
    Plain,

    /// <summary>What matched within is not tried otherwise.</summary>
    Atomic,

    /// <summary>(?=…)</summary>
    Ahead,

    /// <summary>(?!…)</summary>
    NotAhead,

    /// <summary>(?&lt;=…)</summary>
    Behind,

    /// <summary>(?&lt;!…)</summary>
    NotBehind,
}

/// <summary>Places that a pattern can ask for.</summary>
internal enum PlaceKind
{
    /// <summary>^: the start, or after a line feed that isn't the text's last character.</summary>
    LineStart,

    /// <summary>$: the end, or before a line feed.</summary>
    LineEnd,

    /// <summary>\A</summary>
    TextStart,

    /// <summary>\z</summary>
    TextEnd,

    /// <summary>\Z: the end, or before a line feed at the end.</summary>
    LastLineEnd,

    /// <summary>\b</summary>
    WordEdge,

    /// <summary>\B</summary>
    NoWordEdge,
}

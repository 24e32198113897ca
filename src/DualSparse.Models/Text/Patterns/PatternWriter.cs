using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Patterns;

/// <summary>Writes a pattern for .NET, over the symbols of its alphabet.</summary>
internal sealed class PatternWriter
{
    private static readonly CodePointSet LineFeed = CodePointSet.Of('\n');

    private readonly StringBuilder output = new();
    private readonly PatternAlphabet alphabet;

    private PatternWriter(PatternAlphabet alphabet) => this.alphabet = alphabet;

    /// <summary>Writes <paramref name="node"/>, with the alphabet that its text must be translated to.</summary>
    public static (string Pattern, PatternAlphabet Alphabet) Write(PatternNode node)
    {
        node = Folded(node, behind: false);
        var sets = new HashSet<CodePointSet>(Sets(node));
        var writer = new PatternWriter(new(sets));
        writer.Append(node);
        return (writer.output.ToString(), writer.alphabet);
    }

    /// <summary>The same without characters by name: each becomes a set, those in any case what they stand for.</summary>
    private static PatternNode Folded(PatternNode node, bool behind) => node switch
    {
        LiteralNode { AnyCase: false } literal => new SetNode(CodePointSet.Of(literal.Code)),
        LiteralNode literal => CaseFolding.OfText([literal.Code], behind),
        SetNode { Texts.Count: > 0 } set => new AlternativesNode([new SetNode(set.Set), .. set.Texts.Select(CaseFolding.Sets)]),
        SequenceNode sequence => new SequenceNode(FoldedParts(sequence.Parts, behind)),
        AlternativesNode alternatives => new AlternativesNode([.. alternatives.Branches.Select(branch => Folded(branch, behind))]),
        RepeatNode repeat => repeat with { Body = Folded(repeat.Body, behind) },
        GroupNode group => group with { Body = Folded(group.Body, behind || group.Kind is GroupKind.Behind or GroupKind.NotBehind) },
        _ => node,
    };

    private static List<PatternNode> FoldedParts(IReadOnlyList<PatternNode> parts, bool behind)
    {
        List<PatternNode> folded = [];
        for (int i = 0; i < parts.Count; i++)
        {
            int[] text = [.. parts.Skip(i).TakeWhile(part => part is LiteralNode { AnyCase: true }).Select(part => ((LiteralNode)part).Code)];
            folded.Add(text.Length > 0 ? CaseFolding.OfText(text, behind) : Folded(parts[i], behind));
            i += Math.Max(0, text.Length - 1);
        }

        return folded;
    }

    private static IEnumerable<CodePointSet> Sets(PatternNode node) => node switch
    {
        SetNode set => [set.Set],
        SequenceNode sequence => sequence.Parts.SelectMany(Sets),
        AlternativesNode alternatives => alternatives.Branches.SelectMany(Sets),
        RepeatNode repeat => Sets(repeat.Body),
        GroupNode group => Sets(group.Body),
        PlaceNode { Kind: PlaceKind.WordEdge or PlaceKind.NoWordEdge } => [UnicodeProperties.BareWord],
        PlaceNode { Kind: PlaceKind.LineStart or PlaceKind.LineEnd or PlaceKind.LastLineEnd } => [LineFeed],
        _ => [],
    };

    private void Append(PatternNode node)
    {
        switch (node)
        {
            case SetNode set:
                output.Append(alphabet.Class(set.Set));
                break;
            case SequenceNode sequence:
                foreach (PatternNode part in sequence.Parts)
                {
                    AppendPart(part);
                }

                break;
            case AlternativesNode alternatives:
                for (int i = 0; i < alternatives.Branches.Count; i++)
                {
                    output.Append(i > 0 ? "|" : "");
                    Append(alternatives.Branches[i]);
                }

                break;
            case RepeatNode repeat:
                AppendRepeat(repeat);
                break;
            case GroupNode group:
                output.Append(group.Kind switch
                {
                    GroupKind.Atomic => "(?>",
                    GroupKind.Ahead => "(?=",
                    GroupKind.NotAhead => "(?!",
                    GroupKind.Behind => "(?<=",
                    GroupKind.NotBehind => "(?<!",
                    _ => "(?:",
                });
                Append(group.Body);
                output.Append(')');
                break;
            case PlaceNode place:
                AppendPlace(place.Kind);
                break;
        }
    }

    private void AppendPart(PatternNode part)
    {
        bool wrap = part is AlternativesNode;
        output.Append(wrap ? "(?:" : "");
        Append(part);
        output.Append(wrap ? ")" : "");
    }

    private void AppendRepeat(RepeatNode repeat)
    {
        bool wrap = repeat.Body is not (SetNode or GroupNode);
        output.Append(wrap ? "(?:" : "");
        Append(repeat.Body);
        output.Append(wrap ? ")" : "");
        output.Append((repeat.Min, repeat.Max) switch
        {
            (0, 1) => "?",
            (0, -1) => "*",
            (1, -1) => "+",
            (_, -1) => string.Create(CultureInfo.InvariantCulture, $"{{{repeat.Min},}}"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{{{repeat.Min},{repeat.Max}}}"),
        });
        output.Append(repeat.Lazy ? "?" : "");
    }

    private void AppendPlace(PlaceKind kind)
    {
        string word = alphabet.Class(UnicodeProperties.BareWord);
        string line = alphabet.Class(LineFeed);
        output.Append(kind switch
        {
            PlaceKind.TextStart => @"\A",
            PlaceKind.TextEnd => @"\z",
            PlaceKind.LastLineEnd => $@"(?={line}?\z)",
            PlaceKind.LineStart => $@"(?:\A|(?<={line})(?!\z))",
            PlaceKind.LineEnd => $@"(?=\z|{line})",
            PlaceKind.WordEdge => $"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))",
            _ => $"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))",
        });
    }
}

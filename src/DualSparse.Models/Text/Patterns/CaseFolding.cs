namespace DualSparse.Models.Text.Patterns;

/// <summary>What characters match where case is ignored, as Oniguruma has it: full case folding, a ß for ss as well.</summary>
internal static class CaseFolding
{
    // A folding has at most three characters.
    private const int MostFolded = 3;

    private static readonly Lazy<Dictionary<string, int[]>> Unfolded = new(() => UnicodeTable.Instance.Expansions
        .GroupBy(expansion => Key(expansion.Value), expansion => expansion.Key, StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal));

    /// <summary>A class's set with the other cases of its characters, and the texts that its characters fold to.</summary>
    public static (CodePointSet Set, IReadOnlyList<int[]> Texts) OfClass(CodePointSet set)
    {
        UnicodeTable table = UnicodeTable.Instance;
        IEnumerable<int> cases = table.FoldingClasses.Where(cases => cases.Any(set.Contains)).SelectMany(cases => cases);
        int[][] texts = [.. table.Expansions.Where(expansion => set.Contains(expansion.Key)).Select(expansion => expansion.Value).DistinctBy(Key)];
        return (set.Union(CodePointSet.Of(cases)), texts);
    }

    /// <summary>A text of which every character may be in any case, as sets in a row or alternatives of such.</summary>
    /// <param name="text">Its characters.</param>
    /// <param name="single">Every character stands for one, as within a look-behind.</param>
    public static PatternNode OfText(ReadOnlySpan<int> text, bool single)
    {
        List<PatternNode> parts = [];
        while (text.Length > 0)
        {
            int taken = 1;
            if (!single && UnicodeTable.Instance.Expansions.TryGetValue(text[0], out int[]? folded))
            {
                parts.Add(Either(folded));
            }
            else
            {
                for (taken = single ? 1 : Math.Min(MostFolded, text.Length); taken > 1 && !Unfolded.Value.ContainsKey(Key(text[..taken])); taken--)
                {
                }

                parts.Add(taken > 1 ? Either(text[..taken].ToArray()) : Cases(text[0]));
            }

            text = text[taken..];
        }

        return new SequenceNode(parts);
    }

    /// <summary>The characters in a row, each in any case.</summary>
    public static SequenceNode Sets(int[] text) => new([.. text.Select(Cases)]);

    private static SetNode Cases(int code) => new(CodePointSet.Of(UnicodeTable.Instance.Cases(code)));

    private static AlternativesNode Either(int[] folded) => new([Sets(folded), new SetNode(CodePointSet.Of(Unfolded.Value[Key(folded)]))]);

    // The same for texts that differ in case.
    private static string Key(int[] text) => Key(text.AsSpan());

    private static string Key(ReadOnlySpan<int> text)
    {
        string key = "";
        foreach (int code in text)
        {
            key += char.ConvertFromUtf32(UnicodeTable.Instance.Cases(code).Min());
        }

        return key;
    }
}

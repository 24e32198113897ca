namespace DualSparse.Models.Text.Patterns;

/// <summary>A set of code points, as the ascending places where it begins and ends in turn. Immutable.</summary>
internal sealed class CodePointSet
{
    private const int End = 0x110000;

    /// <summary>No code point.</summary>
    public static readonly CodePointSet None = new([]);

    /// <summary>Every code point.</summary>
    public static readonly CodePointSet All = new([0, End]);

    private CodePointSet(int[] edges) => Edges = edges;

    /// <summary>Where the set begins (even places) and ends (odd ones, exclusive).</summary>
    public int[] Edges { get; }

    /// <summary>The code points from <paramref name="first"/> to <paramref name="last"/>.</summary>
    public static CodePointSet Range(int first, int last) => new([first, last + 1]);

    /// <summary>These code points.</summary>
    public static CodePointSet Of(params IEnumerable<int> codes) => OfRanges(codes.Order().Distinct().Select(code => (code, code)));

    /// <summary>Ranges in ascending order, none within another.</summary>
    public static CodePointSet OfRanges(IEnumerable<(int First, int Last)> ranges)
    {
        List<int> edges = [];
        foreach ((int first, int last) in ranges)
        {
            if (edges.Count > 0 && edges[^1] == first)
                edges[^1] = last + 1;
            else
                edges.AddRange([first, last + 1]);
        }

        return new([.. edges]);
    }

    /// <summary>Whether the set has <paramref name="code"/>.</summary>
    public bool Contains(int code)
    {
        int found = Array.BinarySearch(Edges, code);
        return ((found >= 0 ? found : ~found - 1) & 1) == 0;
    }

    /// <summary>What one of the two has.</summary>
    public CodePointSet Union(CodePointSet other) => Combine(other, either: true);

    /// <summary>What both have.</summary>
    public CodePointSet Intersect(CodePointSet other) => Combine(other, either: false);

    /// <summary>What the set lacks.</summary>
    public CodePointSet Complement()
    {
        IEnumerable<int> inner = Edges.Where(edge => edge is not 0 and not End);
        IEnumerable<int> start = Contains(0) ? [] : [0];
        IEnumerable<int> end = Contains(End - 1) ? [] : [End];
        return new([.. start, .. inner, .. end]);
    }

    private CodePointSet Combine(CodePointSet other, bool either)
    {
        List<int> edges = [];
        int[] mine = Edges;
        int[] theirs = other.Edges;
        int i = 0;
        int j = 0;
        while (i < mine.Length || j < theirs.Length)
        {
            int at = Math.Min(i < mine.Length ? mine[i] : End, j < theirs.Length ? theirs[j] : End);
            i += i < mine.Length && mine[i] == at ? 1 : 0;
            j += j < theirs.Length && theirs[j] == at ? 1 : 0;

            // After an odd number of its edges one is within a set.
            bool within = either ? ((i | j) & 1) != 0 : (i & j & 1) != 0;
            if (within != ((edges.Count & 1) != 0))
                edges.Add(at);
        }

        return new([.. edges]);
    }
}

using System.Globalization;

namespace DualSparse.Models.Text.Patterns;

/// <summary>
/// Properties and case folding that .NET lacks, of Unicode 16.0.0: unicode.txt. General categories are .NET's, of the same version.
/// </summary>
internal sealed class UnicodeTable
{
    private static readonly Lazy<UnicodeTable> Loaded = new(() => new());

    private readonly Dictionary<string, string> ranges = new(StringComparer.Ordinal);
    private readonly Dictionary<int, int[]> equals = [];
    private readonly Dictionary<int, int[]> expansions = [];

    private UnicodeTable()
    {
        using Stream stream = typeof(UnicodeTable).Assembly.GetManifestResourceStream("unicode.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is string line)
        {
            string[] parts = line.Split(' ', 3);
            switch (parts[0])
            {
                case "P":
                    foreach (string name in parts[1].Split(','))
                    {
                        ranges[name] = parts[2];
                    }

                    break;
                case "F":
                    int[] codes = Codes(line[2..]);
                    foreach (int code in codes)
                    {
                        equals[code] = codes;
                    }

                    break;
                case "M":
                    expansions[Hex(parts[1])] = Codes(parts[2]);
                    break;
            }
        }
    }

    /// <summary>The table, read when it is first asked for.</summary>
    public static UnicodeTable Instance => Loaded.Value;

    /// <summary>The characters that fold to several, and to which.</summary>
    public IReadOnlyDictionary<int, int[]> Expansions => expansions;

    /// <summary>The characters of each folding class of more than one.</summary>
    public IEnumerable<int[]> FoldingClasses => equals.Values.Distinct();

    /// <summary>The code points of a property that the table has, under its lower-case name without separators.</summary>
    public CodePointSet? Property(string name) => ranges.TryGetValue(name, out string? text)
        ? CodePointSet.OfRanges(text.Split(' ').Select(range => range.Split('-')).Select(ends => (Hex(ends[0]), Hex(ends[^1]))))
        : null;

    /// <summary>A character and its other cases, each one character long.</summary>
    public int[] Cases(int code) => equals.GetValueOrDefault(code) ?? [code];

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static int[] Codes(string text) => [.. text.Split(' ').Select(Hex)];
}

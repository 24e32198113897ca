using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text;

/// <summary>
/// Unicode normalization form C (UAX #15). The program runs without the platform's Unicode tables
/// (<see cref="string.Normalize()"/> changes nothing then), so the table is its own: canonical.txt.
/// </summary>
internal static class Canonical
{
    // Hangul syllables compose by arithmetic (The Unicode Standard, section 3.12).
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7;
    private const int LCount = 19, VCount = 21, TCount = 28, SCount = LCount * VCount * TCount;

    // Below the first combining mark nothing decomposes for good or composes.
    private const char FirstCombining = '\u0300';

    private static readonly Lazy<Tables> Loaded = new(Tables.Load);

    private sealed record Tables(
        Dictionary<int, int[]> Decompositions, Dictionary<(int First, int Second), int> Compositions, Dictionary<int, int> Classes)
    {
        public static Tables Load()
        {
            Dictionary<int, int[]> decompositions = [];
            Dictionary<(int, int), int> compositions = [];
            Dictionary<int, int> classes = [];
            using Stream stream = typeof(Canonical).Assembly.GetManifestResourceStream("canonical.txt")!;
            using var reader = new StreamReader(stream);
            while (reader.ReadLine() is string line)
            {
                string[] fields = line.Split(' ');
                if (fields[0] == "C")
                {
                    for (int code = Hex(fields[1]); code <= Hex(fields[2]); code++)
                    {
                        classes[code] = int.Parse(fields[3]);
                    }
                }
                else if (fields[0] is "D" or "S")
                {
                    int[] parts = [.. fields.Skip(2).Select(Hex)];
                    decompositions[Hex(fields[1])] = parts;
                    if (fields[0] == "D")
                    {
                        compositions[(parts[0], parts[1])] = Hex(fields[1]);
                    }
                }
            }

            return new(decompositions, compositions, classes);
        }

        private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier);
    }

    /// <summary>The form C of <paramref name="text"/>, which is valid UTF-16.</summary>
    public static string Compose(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange(FirstCombining, char.MaxValue) < 0)
        {
            return text;
        }

        Tables tables = Loaded.Value;
        List<int> codes = [];
        foreach (Rune rune in text.EnumerateRunes())
        {
            Decompose(tables, rune.Value, codes);
        }

        Order(tables, codes);
        Recompose(tables, codes);
        var result = new StringBuilder(text.Length);
        foreach (int code in codes)
        {
            if (code >= 0)
            {
                result.Append(code <= char.MaxValue ? ((char)code).ToString() : char.ConvertFromUtf32(code));
            }
        }

        return result.ToString();
    }

    private static void Decompose(Tables tables, int code, List<int> codes)
    {
        int syllable = code - SBase;
        if (syllable is >= 0 and < SCount)
        {
            codes.Add(LBase + (syllable / (VCount * TCount)));
            codes.Add(VBase + (syllable % (VCount * TCount) / TCount));
            if (syllable % TCount != 0)
            {
                codes.Add(TBase + (syllable % TCount));
            }
        }
        else if (tables.Decompositions.TryGetValue(code, out int[]? parts))
        {
            foreach (int part in parts)
            {
                Decompose(tables, part, codes);
            }
        }
        else
        {
            codes.Add(code);
        }
    }

    /// <summary>Puts each run of combining marks in the order of their classes, marks of one class as they stood.</summary>
    private static void Order(Tables tables, List<int> codes)
    {
        for (int start = 0; start < codes.Count; start++)
        {
            int end = start;
            while (end < codes.Count && Class(tables, codes[end]) != 0)
            {
                end++;
            }

            if (end - start > 1)
            {
                int[] sorted = [.. codes.Skip(start).Take(end - start).OrderBy(code => Class(tables, code))];
                for (int i = 0; i < sorted.Length; i++)
                {
                    codes[start + i] = sorted[i];
                }
            }

            start = end;
        }
    }

    /// <summary>Joins each starter with the marks after it that nothing blocks; what was joined becomes -1.</summary>
    private static void Recompose(Tables tables, List<int> codes)
    {
        int starter = -1;
        int lastClass = -1;
        for (int i = 0; i < codes.Count; i++)
        {
            int kind = Class(tables, codes[i]);
            if (starter >= 0 && lastClass < kind && Joined(tables, codes[starter], codes[i]) is int joined and >= 0)
            {
                codes[starter] = joined;
                codes[i] = -1;
                continue;
            }

            if (kind == 0)
            {
                starter = i;
                lastClass = -1;
            }
            else
            {
                lastClass = kind;
            }
        }
    }

    private static int Joined(Tables tables, int first, int second)
    {
        if (first - LBase is >= 0 and < LCount && second - VBase is >= 0 and < VCount)
        {
            return SBase + ((((first - LBase) * VCount) + second - VBase) * TCount);
        }

        if (first - SBase is >= 0 and < SCount && (first - SBase) % TCount == 0 && second - TBase is > 0 and < TCount)
        {
            return first + second - TBase;
        }

        return tables.Compositions.GetValueOrDefault((first, second), -1);
    }

    private static int Class(Tables tables, int code) => code < FirstCombining ? 0 : tables.Classes.GetValueOrDefault(code);
}

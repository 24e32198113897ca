using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace DualSparse.Tests.Docs;

/// <summary>A number in a committed result, by the way to it.</summary>
internal static partial class ResultNumber
{
    /// <summary>
    /// Looks a number up. <c>FILE.json; a.b[text=books].c</c> walks through objects and to the element of an array that has these values; <c>[*]</c>: to all.
    /// <c>PAGE.md; int8; tokens=32; drop~25%; time(r)/time(0)</c> takes the tables below a heading with these words, of their rows the one
    /// whose cells are these (<c>~</c>: nearest to it), and a column, of a cell's numbers the first, or <c>#2</c>. Before the last
    /// <c>min</c> or <c>max</c> takes one of several.
    /// </summary>
    /// <exception cref="FormatException">It isn't there, or there are several.</exception>
    public static double Of(string source)
    {
        string[] parts = source.Split(';', StringSplitOptions.TrimEntries);
        string path = TestPaths.InRepository(parts[0].Split('/'));
        if (!File.Exists(path))
            throw new FormatException($"there is no {parts[0]}");
        try
        {
            return parts[0].EndsWith(".json", StringComparison.Ordinal) ? InJson(path, parts[1]) : InPage(path, parts[1..^1], parts[^1]);
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException)
        {
            throw new FormatException($"{source}: {e.Message}", e);
        }
    }

    private static double InJson(string path, string way)
    {
        var (how, steps) = How(way);
        using var json = JsonDocument.Parse(File.ReadAllText(path));
        IEnumerable<JsonElement> at = [json.RootElement];
        foreach (Match step in Steps().Matches(steps))
        {
            at = step.Groups["field"] is { Success: true } field
                ? at.Select(e => e.GetProperty(field.Value))
                : at.SelectMany(e => e.EnumerateArray()).Where(e => step.Groups["name"].Captures.Zip(step.Groups["value"].Captures).All(c => e.GetProperty(c.First.Value).ToString() == c.Second.Value));
        }

        return One(how, at.Select(e => e.GetDouble()));
    }

    private static double InPage(string path, string[] conditions, string column)
    {
        IEnumerable<ResultRow> rows = ResultRow.Read(path);
        foreach (string condition in conditions)
        {
            int sign = condition.IndexOfAny(['=', '~']);
            string cell = condition[..Math.Max(sign, 0)], value = condition[(sign + 1)..];
            rows = sign < 0 ? rows.Where(r => r.Heading.Contains(condition, StringComparison.Ordinal))
                : condition[sign] == '=' ? rows.Where(r => r.Cells.GetValueOrDefault(cell) == value)
                : rows.Where(r => r.Cells.ContainsKey(cell)).OrderBy(r => Math.Abs(First(r.Cells[cell]) - First(value))).Take(1);
        }

        var (number, which) = column.IndexOf('#', StringComparison.Ordinal) is > 0 and var at
            ? (int.Parse(column[(at + 1)..], CultureInfo.InvariantCulture) - 1, column[..at].Trim())
            : (0, column);
        var (how, name) = How(which);
        var values = rows.Select(r => r.Cells[name]).Select(c => Numbers().Matches(c)[number].Value).Select(Parse);
        return One(how, values);
    }

    private static (string How, string What) How(string words) => words.Split(' ', 2) is [("min" or "max") and var how, var what] ? (how, what) : ("", words);

    private static double One(string how, IEnumerable<double> values) => how switch { "min" => values.Min(), "max" => values.Max(), _ => values.Single() };

    private static double First(string cell) => Parse(Numbers().Match(cell).Value);

    private static double Parse(string number) =>
        double.Parse(number.TrimEnd('%', ' '), NumberStyles.Float | NumberStyles.AllowThousands, CultureInfo.InvariantCulture) / (number.EndsWith('%') ? 100 : 1);

    [GeneratedRegex(@"(?<field>[^.\[\]]+)(?![^\[]*\])|(\[(?<name>\w+)=(?<value>[^\]]+)\])+|\[\*\]")]
    private static partial Regex Steps();

    [GeneratedRegex(@"[\d,]*\d(\.\d+)?( ?%)?")]
    private static partial Regex Numbers();
}

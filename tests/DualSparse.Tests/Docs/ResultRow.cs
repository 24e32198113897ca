namespace DualSparse.Tests.Docs;

/// <summary>A row of a Markdown table.</summary>
/// <param name="Heading">The last line of text above the table that is set in bold or is a heading.</param>
/// <param name="Cells">By the columns' headings.</param>
internal sealed record ResultRow(string Heading, IReadOnlyDictionary<string, string> Cells)
{
    /// <summary>Every row of every table of a page.</summary>
    public static List<ResultRow> Read(string path)
    {
        List<ResultRow> rows = [];
        string heading = "";
        string[]? columns = null;
        foreach (string line in File.ReadLines(path))
        {
            if (!line.StartsWith('|'))
            {
                columns = null;
                if (line.StartsWith('#') || line.StartsWith("**", StringComparison.Ordinal))
                    heading = line;
                continue;
            }

            string[] cells = line.Trim('|', ' ').Split('|', StringSplitOptions.TrimEntries);
            if (columns is null)
                columns = cells;
            else if (!cells.All(c => c.Trim('-', ':').Length == 0))
                rows.Add(new ResultRow(heading, columns.Zip(cells).ToDictionary(p => p.First, p => p.Second)));
        }

        return rows;
    }
}

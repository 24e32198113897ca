using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>
/// Results in rows. A figure is never broken: where a terminal is too narrow for the table, each row becomes a heading (its first cell) and
/// its figures by name below it.
/// </summary>
/// <param name="columns">The names of the columns.</param>
internal sealed class ResultTable(params string[] columns)
{
    // Before, between and after cells: a border and a space on either side.
    private const int Border = 3;

    private readonly List<string[]> rows = [];

    /// <summary>Adds a row: a cell for each column.</summary>
    public void Add(params string[] cells) => rows.Add(cells);

    /// <summary>Writes the table to a command's output.</summary>
    /// <param name="output">A terminal of whatever width, a file or a pipe, where rows are as long as they are.</param>
    public void Write(TextWriter output) => Write(output, Terminal.Columns(output));

    /// <summary>The same for lines of at most so many characters.</summary>
    internal void Write(TextWriter output, int width)
    {
        if (Width() > width)
            WriteRecords(output, width);
        else
            WriteTable(output);
    }

    private int Width() => 1 + columns.Select((name, c) => Border + rows.Select(row => row[c].Length).Append(name.Length).Max()).Sum();

    private void WriteTable(TextWriter output)
    {
        var table = new Table { Border = Terminal.Is(output) ? TableBorder.Rounded : TableBorder.Ascii, ShowHeaders = columns.Any(c => c.Length > 0) };
        foreach (string column in columns)
            table.AddColumn(Markup.Escape(column));
        foreach (string[] row in rows)
            table.AddRow([.. row.Select(cell => new Text(cell))]);
        Terminal.On(output).Write(table);
    }

    private void WriteRecords(TextWriter output, int width)
    {
        foreach (string[] row in rows)
        {
            output.WriteLine($"{columns[0]} {row[0]}".Trim());
            Terminal.WritePieces(output, columns.Zip(row).Skip(1).Where(cell => cell.Second.Length > 0).Select(cell => $"{cell.First} {cell.Second}".Trim()), width, indent: 2);
        }
    }
}

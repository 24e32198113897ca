using DualSparse.Cli.Hosting;

namespace DualSparse.Tests.Cli;

/// <summary>A table in terminals of any width: no figure is broken.</summary>
public class ResultTableTests
{
    private static readonly string[] s_cells = ["books", "24576", "3.9350 (3.7720 to 4.0991)", "51.167 (43.466 to 60.284)", "", "24.6%"];

    [Theory]
    [InlineData(300)]
    [InlineData(80)]
    [InlineData(40)]
    [InlineData(10)]
    public void Every_figure_is_whole(int width)
    {
        var table = new ResultTable("text", "tokens", "NLL", "perplexity", "ΔNLL", "dropped");
        table.Add(s_cells);
        table.Add(s_cells);
        using var output = new StringWriter();
        table.Write(output, width);
        string[] lines = output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.All(s_cells, cell => Assert.Contains(lines, line => line.Contains(cell, StringComparison.Ordinal)));
        // Only what is itself wider than the terminal makes a line that is.
        int widest = s_cells.Max(c => c.Length) + "  perplexity ".Length;
        Assert.All(lines, line => Assert.True(line.Length <= Math.Max(width, widest), line));
        Assert.Equal(width == 300, lines[0].StartsWith('+'));
    }
}

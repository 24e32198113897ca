using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>Tables: with colour and borders on a terminal, one unbroken line a row in a file or pipe.</summary>
internal static class Terminal
{
    // Wide enough that no row is wrapped.
    private const int PipeColumns = 1000;

    /// <summary>Whether what is written there shows on a terminal.</summary>
    public static bool Is(TextWriter writer) =>
        (writer == Console.Out && !Console.IsOutputRedirected) || (writer == Console.Error && !Console.IsErrorRedirected);

    /// <summary>Writes tables to a command's output.</summary>
    public static IAnsiConsole On(TextWriter output)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        if (!Is(output))
            console.Profile.Width = PipeColumns;
        return console;
    }

    /// <summary>A table for a command's output.</summary>
    public static Table Table(TextWriter output, params string[] columns)
    {
        var table = new Table { Border = Is(output) ? TableBorder.Rounded : TableBorder.Ascii };
        foreach (string column in columns)
            table.AddColumn(column);
        return table;
    }
}

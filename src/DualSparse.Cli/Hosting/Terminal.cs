using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>Tables: with colour and borders on a terminal, one unbroken line a row in a file or pipe.</summary>
internal static class Terminal
{
    // Wide enough that no row is wrapped.
    private const int PipeColumns = 1000;

    public static IAnsiConsole Output()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings());
        if (Console.IsOutputRedirected)
            console.Profile.Width = PipeColumns;
        return console;
    }

    public static Table Table(params string[] columns)
    {
        var table = new Table { Border = Console.IsOutputRedirected ? TableBorder.Ascii : TableBorder.Rounded };
        foreach (string column in columns)
            table.AddColumn(column);
        return table;
    }
}

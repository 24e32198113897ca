using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>Tables: with colour and borders on a terminal, one unbroken line a row in a file or pipe.</summary>
internal static class Terminal
{
    // Wide enough that no row is wrapped.
    private const int PipeColumns = 1000;

    /// <summary>Whether what is written there shows on a terminal.</summary>
    public static bool Is(TextWriter writer) =>
        (writer == Console.Out && !Console.IsOutputRedirected) || ((writer as SideWriter)?.Inner == Console.Error && !Console.IsErrorRedirected);

    /// <summary>Writes tables to a command's output.</summary>
    public static IAnsiConsole On(TextWriter output)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        if (!Is(output))
            console.Profile.Width = PipeColumns;
        return console;
    }

    /// <summary>Characters in a line: a terminal's width; a file or pipe has no limit.</summary>
    public static int Columns(TextWriter writer) => Is(writer) ? On(writer).Profile.Width : int.MaxValue;

    /// <summary>Writes a line, and on a terminal breaks it between words.</summary>
    public static void WriteLine(TextWriter output, string line)
    {
        if (Is(output))
            On(output).Write(new Text(line + "\n"));
        else
            output.WriteLine(line);
    }

    /// <summary>Writes pieces with " · " between them, and a new line where the next one would be broken.</summary>
    /// <param name="output">A command's output.</param>
    /// <param name="pieces">In order; none is broken.</param>
    /// <param name="width">Characters in a line.</param>
    /// <param name="indent">Spaces before each line.</param>
    public static void WritePieces(TextWriter output, IEnumerable<string> pieces, int width, int indent = 0)
    {
        const string Separator = " · ";
        string margin = new(' ', indent), line = "";
        foreach (string piece in pieces)
        {
            if (line.Length > 0 && indent + line.Length + Separator.Length + piece.Length > width)
            {
                output.WriteLine(margin + line);
                line = "";
            }

            line += line.Length > 0 ? Separator + piece : piece;
        }

        output.WriteLine(margin + line);
    }
}

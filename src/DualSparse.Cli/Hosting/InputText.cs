using DualSparse.Models.Text;

namespace DualSparse.Cli.Hosting;

/// <summary>Texts that a command is given by name: a file's, or standard input's.</summary>
internal static class InputText
{
    /// <summary>What stands for standard input.</summary>
    public const string Standard = "-";

    /// <summary>What messages and results call a text.</summary>
    public static string Name(string path) => path == Standard ? "standard input" : Path.GetFileNameWithoutExtension(path);

    /// <summary>Reads a whole text.</summary>
    /// <exception cref="Models.ModelFormatException">It can't be read, or isn't UTF-8.</exception>
    public static string Read(string path) => path == Standard ? ReadStandard() : TextFile.Read(path);

    /// <summary>The same without its last line end, which <c>echo</c> and editors add and nobody means as part of a prompt.</summary>
    /// <exception cref="Models.ModelFormatException">It can't be read, or isn't UTF-8.</exception>
    public static string ReadPrompt(string path)
    {
        string text = Read(path);
        return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2] : text.EndsWith('\n') ? text[..^1] : text;
    }

    private static string ReadStandard()
    {
        // A file or a pipe is UTF-8; what is typed comes in the terminal's own encoding, on Windows a code page.
        using var input = Console.OpenStandardInput();
        if (Console.IsInputRedirected)
            return TextFile.Read(input, Name(Standard));
        using var typed = new StreamReader(input, Console.InputEncoding);
        return typed.ReadToEnd();
    }
}

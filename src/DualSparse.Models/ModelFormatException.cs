using System.Text;

namespace DualSparse.Models;

/// <summary>A file of a model is damaged or holds something that isn't implemented; the message names file and field.</summary>
/// <param name="message">One sentence: file, field, what was found, what was expected. Line breaks in it become spaces, and it is cut where it is too long to read.</param>
/// <param name="inner">The cause, where there is one.</param>
public sealed class ModelFormatException(string message, Exception? inner = null) : Exception(OneLine(message), inner)
{
    private const int MaxLength = 600;

    /// <summary>The error that a file can't be read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cause">What the system said.</param>
    public static ModelFormatException Unreadable(string path, Exception cause) => new(
        $"{path}: " + cause switch
        {
            FileNotFoundException or DirectoryNotFoundException => "there is no such file",
            _ when Directory.Exists(path) => "it is a folder, expected a file",
            UnauthorizedAccessException => "this user may not read it",
            _ => $"it can't be read ({cause.Message.TrimEnd('.')})",
        },
        cause);

    // Names and values out of a damaged file may hold anything: control characters, or a megabyte.
    private static string OneLine(string message)
    {
        var line = new StringBuilder(Math.Min(message.Length, MaxLength + 1));
        foreach (char c in message)
        {
            bool blank = char.IsControl(c) || c is ' ' or '\u2028' or '\u2029';
            if (blank && line is [.., ' '])
                continue;
            line.Append(blank ? ' ' : c);
            if (line.Length == MaxLength)
                return line.Append('…').ToString();
        }

        return line.ToString();
    }
}

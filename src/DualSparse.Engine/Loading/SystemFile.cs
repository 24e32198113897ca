using System.Globalization;

namespace DualSparse.Engine.Loading;

/// <summary>Small text files that a Linux kernel writes; what is missing, forbidden or not as expected reads as nothing.</summary>
internal static class SystemFile
{
    /// <summary>The lines; none if there is no such file.</summary>
    public static string[] Lines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The one number of a file; null for a word ("max") or nothing.</summary>
    public static long? Number(string file) => Lines(file) is [var line] ? Parse(line) : null;

    /// <summary>The number behind a name that begins a line; null if there is none.</summary>
    public static long? Field(string file, string name)
    {
        foreach (string line in Lines(file))
        {
            if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is [var first, var value, ..] && first == name)
                return Parse(value);
        }

        return null;
    }

    // No sign: every number here counts bytes or kibibytes.
    private static long? Parse(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out long value) ? value : null;
}

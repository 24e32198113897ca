using System.Globalization;

namespace DualSparse.Engine.Loading;

/// <summary>Small text files of the Linux kernel; a file that is missing, forbidden or not as expected reads as empty.</summary>
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

    /// <summary>The one number of a file; null if it is a word ("max") or empty.</summary>
    public static long? Number(string file) => Lines(file) is [var line] ? Parse(line) : null;

    /// <summary>The number after a name at the start of a line; null if there is none.</summary>
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

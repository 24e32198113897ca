using System.Text;

namespace DualSparse.Models.Text;

/// <summary>Reads texts that a model is to see as they are: nothing is replaced silently.</summary>
internal static class TextFile
{
    /// <summary>A UTF-8 file as text, without the byte order mark that some begin with.</summary>
    /// <exception cref="ModelFormatException">The file can't be read, or isn't UTF-8.</exception>
    public static string Read(string path)
    {
        try
        {
            return Decode(File.ReadAllBytes(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>The same of a stream, to its end.</summary>
    /// <param name="stream">UTF-8.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="ModelFormatException">It can't be read, or isn't UTF-8.</exception>
    public static string Read(Stream stream, string name)
    {
        try
        {
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return Decode(bytes.ToArray(), name);
        }
        catch (IOException e)
        {
            throw ModelFormatException.Unreadable(name, e);
        }
    }

    private static string Decode(byte[] bytes, string name) => Encoding.UTF8.GetString(Utf8Text.Check(bytes, name));
}

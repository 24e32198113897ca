namespace DualSparse.Models.Pictures;

/// <summary>Pictures that stand in an address itself: <c>data:image/png;base64,…</c> (RFC 2397).</summary>
internal static class DataUri
{
    private const string Scheme = "data:", Coding = ";base64";

    /// <summary>Whether an address is of this kind.</summary>
    public static bool Is(string uri) => uri.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase);

    /// <summary>Refuses an address on the web.</summary>
    /// <exception cref="PictureException">It is one.</exception>
    public static void RefuseWeb(string uri, string where)
    {
        if (uri.StartsWith("http:", StringComparison.OrdinalIgnoreCase) || uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
            throw new PictureException($"{where} is an address on the web, and nothing is fetched from there: send the picture itself, as 'data:image/png;base64,…'");
    }

    /// <summary>The picture's bytes.</summary>
    /// <param name="uri">The address.</param>
    /// <param name="where">What messages call its place.</param>
    /// <exception cref="PictureException">It is another address, or no base64.</exception>
    public static byte[] Read(string uri, string where)
    {
        RefuseWeb(uri, where);
        int comma = uri.IndexOf(',', StringComparison.Ordinal);
        if (comma < 0 || !Is(uri) || !uri.AsSpan(0, comma).EndsWith(Coding, StringComparison.OrdinalIgnoreCase))
            throw new PictureException($"{where} is '{JsonField.Shorten(uri)}', expected a picture as 'data:image/png;base64,…'");
        try
        {
            return Convert.FromBase64String(uri[(comma + 1)..]);
        }
        catch (FormatException e)
        {
            throw new PictureException($"{where} isn't valid base64 behind its comma", e);
        }
    }
}

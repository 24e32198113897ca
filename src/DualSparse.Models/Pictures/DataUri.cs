namespace DualSparse.Models.Pictures;

/// <summary>Pictures that stand in an address itself: <c>data:image/png;base64,…</c> (RFC 2397).</summary>
internal static class DataUri
{
    /// <summary>The picture's bytes.</summary>
    /// <param name="uri">The address.</param>
    /// <param name="where">What messages call its place.</param>
    /// <exception cref="PictureException">It is another address, or no base64.</exception>
    public static byte[] Read(string uri, string where)
    {
        if (uri.StartsWith("http:", StringComparison.OrdinalIgnoreCase) || uri.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
            throw new PictureException($"{where} is an address on the web, and nothing is fetched from there: send the picture itself, as 'data:image/png;base64,…'");
        const string scheme = "data:", coding = ";base64";
        int comma = uri.IndexOf(',', StringComparison.Ordinal);
        if (comma < 0 || !uri.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) || !uri.AsSpan(0, comma).EndsWith(coding, StringComparison.OrdinalIgnoreCase))
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

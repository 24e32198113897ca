using JpegLibrary;

namespace DualSparse.Models.Pictures;

/// <summary>JPEG, grey or in colours, sequential or progressive; decoded by JpegLibrary once its frame has been looked at here.</summary>
internal static class JpegFile
{
    /// <summary>Whether a file begins as one.</summary>
    public static bool Matches(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]);

    /// <summary>Decodes a file.</summary>
    /// <exception cref="PictureException">It is damaged, too large, or of a kind that isn't read.</exception>
    public static Pixels Decode(byte[] file, string name)
    {
        var frame = JpegFrame.Read(file, name);
        var planes = new JpegPlanes(frame);
        try
        {
            var decoder = new JpegDecoder { MemoryPool = new BoundedPool(frame.MostBytes) };
            decoder.SetInput(file);
            decoder.SetOutputWriter(planes);
            decoder.Decode();
        }
        // The decoder's own checks throw what they like.
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new PictureException($"{name}: the JPEG file is damaged: {e.Message}", e);
        }

        return planes.Colours();
    }
}

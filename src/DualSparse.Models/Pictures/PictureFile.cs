namespace DualSparse.Models.Pictures;

/// <summary>THE entrance of pictures: a file's bytes become colours. What a file is, its first bytes say; how large the picture is, its header, before anything is decoded.</summary>
internal static class PictureFile
{
    /// <summary>The longest file: a picture of as many pixels as are read takes less in any usual form.</summary>
    public const int MaxBytes = 64 << 20;

    /// <summary>The most pixels: twice a large camera's. Three bytes each in memory, and as many again while a file is decoded.</summary>
    public const long MaxPixels = 1 << 26;

    private static readonly (byte[] Start, int At, string Kind)[] s_others =
    [
        ("WEBP"u8.ToArray(), 8, "WebP"), ("GIF8"u8.ToArray(), 0, "GIF"), ("BM"u8.ToArray(), 0, "BMP"), ([(byte)'I', (byte)'I', 42, 0], 0, "TIFF"), ([(byte)'M', (byte)'M', 0, 42], 0, "TIFF"),
        ("ftypavi"u8.ToArray(), 4, "AVIF"), ("ftyphei"u8.ToArray(), 4, "HEIC"), ("ftypmif"u8.ToArray(), 4, "HEIF"), ("ftyp"u8.ToArray(), 4, "MP4, a film"), ([0, 0, 1, 0], 0, "an icon"),
        ([0xFF, 0x0A], 0, "JPEG XL"), ("JXL "u8.ToArray(), 4, "JPEG XL"), ("jP  "u8.ToArray(), 4, "JPEG 2000"), ("<svg"u8.ToArray(), 0, "SVG"), ("%PDF"u8.ToArray(), 0, "PDF"), ("8BPS"u8.ToArray(), 0, "PSD"),
    ];

    /// <summary>Decodes a file.</summary>
    /// <param name="file">Its bytes.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="PictureException">It is neither PNG nor JPEG, or damaged, or too large.</exception>
    public static Pixels Decode(byte[] file, string name)
    {
        if (file.Length > MaxBytes)
            throw new PictureException($"{name}: {file.Length} bytes, expected a picture of at most {MaxBytes}");
        if (PngFile.Matches(file))
            return PngFile.Decode(file, name);
        if (JpegFile.Matches(file))
            return JpegFile.Decode(file, name);
        foreach (var (start, at, kind) in s_others)
        {
            if (file.AsSpan(Math.Min(at, file.Length)).StartsWith(start))
                throw new PictureException($"{name}: it is {kind}, expected PNG or JPEG");
        }

        throw new PictureException(file.Length == 0 ? $"{name}: it is empty, expected PNG or JPEG" : $"{name}: it is no picture that is known (it begins with {Convert.ToHexString(file.AsSpan(0, Math.Min(8, file.Length)))}), expected PNG or JPEG");
    }

    /// <summary>Reads and decodes a file.</summary>
    /// <exception cref="PictureException">As for <see cref="Decode"/>, or it can't be read.</exception>
    public static Pixels Read(string path) => Decode(ReadBytes(path), path);

    /// <summary>A file's bytes.</summary>
    /// <exception cref="PictureException">It can't be read, or is too long.</exception>
    public static byte[] ReadBytes(string path)
    {
        try
        {
            return ModelFile.Read(path, MaxBytes);
        }
        catch (ModelFormatException e)
        {
            throw new PictureException(e.Message, e);
        }
    }

    /// <summary>Checks what a header says.</summary>
    /// <exception cref="PictureException">The picture is empty or has too many pixels.</exception>
    internal static void RequireSize(long width, long height, string name)
    {
        if (width < 1 || height < 1)
            throw new PictureException($"{name}: the picture has {width} × {height} pixels, expected at least one");
        if (width > MaxPixels || height > MaxPixels || width * height > MaxPixels)
            throw new PictureException($"{name}: the picture has {width} × {height} pixels, expected at most {MaxPixels} together: make it smaller first");
    }
}

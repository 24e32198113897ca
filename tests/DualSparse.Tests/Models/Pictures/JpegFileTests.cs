using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Models.Pictures;

public class JpegFileTests
{
    private static readonly byte[] s_photo = File.ReadAllBytes(TestPaths.Golden("vl", "images", "photo.jpg"));

    // The frame's marker, and where its fields stand.
    private static int Frame => s_photo.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0, 0]);

    [Fact]
    public void Hostile_frames_are_refused_before_anything_is_decoded()
    {
        Refused(Changed((5, 0xFF), (6, 0xFF), (7, 0xFF), (8, 0xFF)), "the picture has 65535 × 65535 pixels, expected at most");
        Refused(Changed((5, 0), (6, 0)), "× 0 pixels, expected at least one");
        Refused(Changed((4, 12)), "has 3 colours of 12 bits, expected 1 or 3 of 8");
        Refused(Changed((11, 0x33)), "samples its colours 3×3");
        Refused(Changed((11, 0)), "samples its colours 0×0");
        Refused(Changed((1, 0xC9)), "is coded in a way that isn't read (SOF9)");
        int table = s_photo.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC4]) + 5;
        Refused([.. s_photo[..table], .. new byte[16], .. s_photo[(table + 16)..]], "its Huffman tables make no sense");
        Refused([.. s_photo[..table], 3, .. s_photo[(table + 1)..]], "its Huffman tables make no sense");
        Refused(s_photo[..(Frame + 6)], "it ends inside a segment");
        Refused(s_photo[..(Frame + 19)], "it has no frame or no scan");
        Refused([.. s_photo[..Frame], .. s_photo[Frame..(Frame + 19)], .. s_photo[Frame..]], "it has several frames");
        Refused([.. s_photo[..^2], .. Enumerable.Repeat(Scan, 101).SelectMany(scan => scan)], "it has more than 100 scans");
    }

    [Fact]
    public void A_file_that_is_cut_off_is_a_sentence_or_a_picture_of_its_size()
    {
        for (int length = 0; length < s_photo.Length; length += 7)
        {
            try
            {
                var pixels = PictureFile.Decode(s_photo[..length], "a.jpg");
                Assert.Equal((96, 64), (pixels.Width, pixels.Height));
            }
            catch (PictureException e)
            {
                Assert.StartsWith("a.jpg: ", e.Message);
            }
        }
    }

    private static byte[] Scan => s_photo[s_photo.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xDA])..][..14];

    private static byte[] Changed(params (int At, byte To)[] changes)
    {
        byte[] file = [.. s_photo];
        foreach (var (at, to) in changes)
            file[Frame + at] = to;
        return file;
    }

    private static void Refused(byte[] file, string expected) =>
        Assert.Contains(expected, Assert.Throws<PictureException>(() => PictureFile.Decode(file, "a.jpg")).Message);
}

using DualSparse.Benchmarks.Scenes;
using DualSparse.Models.Pictures;

namespace DualSparse.Tests.Models.Pictures;

public class PngFileTests
{
    // Depth, colour type, a row's bytes, and the colours that they are.
    public static TheoryData<byte, byte, byte[], byte[]> Kinds => new()
    {
        { 1, 0, [0b1010_0000], [255, 255, 255, 0, 0, 0, 255, 255, 255] },
        { 2, 0, [0b0001_1100], [0, 0, 0, 85, 85, 85, 255, 255, 255] },
        { 4, 0, [0x0F, 0x80], [0, 0, 0, 255, 255, 255, 136, 136, 136] },
        { 8, 0, [1, 200, 3], [1, 1, 1, 200, 200, 200, 3, 3, 3] },
        { 16, 0, [1, 255, 200, 0, 3, 9], [1, 1, 1, 200, 200, 200, 3, 3, 3] },
        { 8, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9] },
        { 16, 2, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9] },
        { 1, 3, [0b0100_0000], [10, 11, 12, 20, 21, 22, 10, 11, 12] },
        { 2, 3, [0b0110_0000], [20, 21, 22, 30, 31, 32, 10, 11, 12] },
        { 4, 3, [0x12, 0x00], [20, 21, 22, 30, 31, 32, 10, 11, 12] },
        { 8, 3, [2, 1, 0], [30, 31, 32, 20, 21, 22, 10, 11, 12] },
        { 8, 4, [1, 0, 2, 255, 3, 7], [1, 1, 1, 2, 2, 2, 3, 3, 3] },
        { 16, 4, [1, 0, 9, 9, 2, 0, 9, 9, 3, 0, 9, 9], [1, 1, 1, 2, 2, 2, 3, 3, 3] },
        { 8, 6, [1, 2, 3, 0, 4, 5, 6, 255, 7, 8, 9, 128], [1, 2, 3, 4, 5, 6, 7, 8, 9] },
        { 16, 6, [1, 0, 2, 0, 3, 0, 9, 9, 4, 0, 5, 0, 6, 0, 9, 9, 7, 0, 8, 0, 9, 0, 9, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9] },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_depth_and_colour_type_is_read(byte depth, byte colour, byte[] row, byte[] expected)
    {
        byte[] palette = [10, 11, 12, 20, 21, 22, 30, 31, 32];
        var pixels = PictureFile.Decode(TestPng.Write(3, 1, depth, colour, [0, .. row], colour == 3 ? palette : null), "a.png");
        Assert.Equal((3, 1), (pixels.Width, pixels.Height));
        Assert.Equal(expected, pixels.Rgb);
    }

    [Fact]
    public void Every_filter_is_undone()
    {
        byte[] sound = [.. Enumerable.Range(0, 5 * 12).Select(i => (byte)(i * 37 % 251))];
        List<byte> rows = [];
        for (int y = 0; y < 5; y++)
        {
            rows.Add((byte)y);
            for (int i = 0; i < 12; i++)
            {
                int left = i < 3 ? 0 : sound[y * 12 + i - 3], up = y == 0 ? 0 : sound[(y - 1) * 12 + i], corner = i < 3 || y == 0 ? 0 : sound[(y - 1) * 12 + i - 3];
                int[] nearest = [left, up, corner];
                int predicted = y switch { 0 => 0, 1 => left, 2 => up, 3 => (left + up) / 2, _ => nearest.MinBy(p => Math.Abs(left + up - corner - p)) };
                rows.Add((byte)(sound[y * 12 + i] - predicted));
            }
        }

        Assert.Equal(sound, PictureFile.Decode(TestPng.Write(4, 5, 8, 2, [.. rows]), "a.png").Rgb);
    }

    // Each pixel of an 8 × 8 square has the number of the pass that brings it.
    [Theory]
    [InlineData(8, 8)]
    [InlineData(11, 9)]
    [InlineData(1, 1)]
    [InlineData(3, 2)]
    public void Interlaced_rows_come_in_seven_passes(int width, int height)
    {
        string[] square = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"];
        List<byte> rows = [];
        for (char pass = '1'; pass <= '7'; pass++)
        {
            for (int y = 0; y < height; y++)
            {
                byte[] own = [.. Enumerable.Range(0, width).Where(x => square[y % 8][x % 8] == pass).Select(x => (byte)(16 * y + x))];
                if (own.Length > 0)
                    rows.AddRange([0, .. own]);
            }
        }

        byte[] grey = [.. PictureFile.Decode(TestPng.Write((uint)width, (uint)height, 8, 0, [.. rows], interlaced: true), "a.png").Rgb.Where((_, i) => i % 3 == 0)];
        Assert.Equal([.. Enumerable.Range(0, width * height).Select(i => (byte)(16 * (i / width) + i % width))], grey);
    }

    [Fact]
    public void Damage_is_a_sentence()
    {
        byte[] sound = TestPng.Write(2, 1, 8, 0, [0, 1, 2]);
        Refused(sound[..^1], "ends before its last chunk");
        Refused(sound[..60], "a chunk claims");
        Refused([.. sound[..20], 7, .. sound[21..]], "a chunk's checksum is wrong");
        Refused(TestPng.Write(2, 2, 8, 0, [0, 1, 2]), "its data has 3 bytes, expected 6");
        Refused(TestPng.Write(2, 1, 8, 0, [5, 1, 2]), "a row has the filter 5, expected 0 to 4");
        Refused(TestPng.Write(2, 1, 3, 0, [0, 1, 2]), "its header says colour type 0 of 3 bits");
        Refused(TestPng.Write(2, 1, 8, 3, [0, 0, 1], [1, 2, 3]), "it has colour 1, and a palette of 1");
        Refused(TestPng.Write(2, 1, 8, 3, [0, 0, 1]), "a palette that is missing");
        Refused([.. sound[..8], .. PngWriter.Chunk("IDAT", [1]), .. sound[8..]], "its first chunk isn't IHDR");
        Refused([.. sound[..33], .. PngWriter.Chunk("ABCD", [1]), .. sound[33..]], "a chunk that isn't known");

        static void Refused(byte[] file, string expected)
        {
            string message = Assert.Throws<PictureException>(() => PictureFile.Decode(file, "a.png")).Message;
            Assert.StartsWith("a.png: ", message);
            Assert.Contains(expected, message);
        }
    }

    // A header of 10⁹ pixels, and a megabyte that inflates to a thousand: neither takes memory.
    [Fact]
    public void Bombs_are_refused_by_their_header()
    {
        byte[] large = TestPng.Write(40000, 25000, 8, 2, [0]), endless = TestPng.Write(2, 1, 8, 0, new byte[64 << 20]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<PictureException>(() => PictureFile.Decode(large, "bomb.png")).Message;
        Assert.Equal("bomb.png: the picture has 40000 × 25000 pixels, expected at most 67108864 together: make it smaller first", message);
        Assert.Equal([0, 0, 0, 0, 0, 0], PictureFile.Decode(endless, "a.png").Rgb);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
        Assert.Contains("4294967295 × 4294967295", Assert.Throws<PictureException>(() => PictureFile.Decode(TestPng.Write(uint.MaxValue, uint.MaxValue, 8, 2, [0]), "b")).Message);
        Assert.Contains("0 × 5 pixels, expected at least one", Assert.Throws<PictureException>(() => PictureFile.Decode(TestPng.Write(0, 5, 8, 2, [0]), "c")).Message);
    }

    [Theory]
    [InlineData("52494646000000005745425056503820", "it is WebP, expected PNG or JPEG")]
    [InlineData("474946383961", "it is GIF, expected PNG or JPEG")]
    [InlineData("424D0000", "it is BMP, expected PNG or JPEG")]
    [InlineData("0000001C66747970617669660000", "it is AVIF")]
    [InlineData("00000018667479706D703432", "it is MP4, a film")]
    [InlineData("68616C6C6F", "it is no picture that is known (it begins with 68616C6C6F)")]
    [InlineData("", "it is empty, expected PNG or JPEG")]
    public void What_is_neither_png_nor_jpeg_is_refused_by_its_name(string hex, string expected) =>
        Assert.Contains(expected, Assert.Throws<PictureException>(() => PictureFile.Decode(Convert.FromHexString(hex), "x")).Message);
}

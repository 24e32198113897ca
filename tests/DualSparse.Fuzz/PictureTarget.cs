using System.Text;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Tests;

namespace DualSparse.Fuzz;

/// <summary>Pictures of every kind that is read, damaged; and what says how a model reads them.</summary>
internal static class PictureTarget
{
    private static readonly VisionConfig s_vision = ModelConfig.Load(TestPaths.Golden("vl", "qwen3_vl_moe")).Vision!;
    private static readonly PictureProcessor s_processor = PictureProcessor.Load(TestPaths.Golden("vl", "images"), s_vision);

    public static IEnumerable<FuzzTarget> All =>
    [
        new("png", Files(".png"), Read) { MaxAllocatedBytes = MostBytes },
        new("pixels", [.. Kinds()], ReadRows) { MaxAllocatedBytes = MostBytes },
        new("jpeg", Files(".jpg"), Read) { MaxAllocatedBytes = MostBytes },
        new("processor", [File.ReadAllBytes(TestPaths.Golden("vl", "images", "preprocessor_config.json"))], input => PictureProcessor.Parse(input, "preprocessor_config.json", s_vision)),
        new("address", [Encoding.UTF8.GetBytes("data:image/png;base64,iVBORw0KGgo="), Encoding.UTF8.GetBytes("https://example.org/a.png")], input => Refused(() => DataUri.Read(Encoding.UTF8.GetString(input), "address"))),
    ];

    // A damaged header may ask for as many pixels as are read: three bytes each, some times over while a file is decoded.
    private const long MostBytes = 24 * PictureFile.MaxPixels;

    // What a sound PNG file's chunks hold: a header, a palette's colours, rows. In a file a checksum keeps damage from getting this far.
    private const int HeaderBytes = 13, PaletteBytes = 3 * 16, MostRows = 1 << 20;

    private static byte[][] Files(string end) =>
        [.. Directory.EnumerateFiles(TestPaths.Golden("vl", "images")).Where(file => file.EndsWith(end, StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];

    // Every colour type with every depth, in one piece and in seven passes.
    private static IEnumerable<byte[]> Kinds() =>
        from kind in new (byte Colour, byte Depth)[] { (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16) }
        from interlaced in new byte[] { 0, 1 }
        select (byte[])[0, 0, 0, 13, 0, 0, 0, 9, kind.Depth, kind.Colour, 0, 0, interlaced, .. Enumerable.Range(0, PaletteBytes + 400).Select(i => (byte)(i % 5))];

    private static void ReadRows(byte[] input) => Refused(() =>
    {
        var header = PngHeader.Read([.. input, .. new byte[HeaderBytes]], "picture");
        if (header.Bytes > MostRows)
            return;
        byte[] rows = new byte[header.Bytes], rest = input.Length > HeaderBytes ? input[HeaderBytes..] : [];
        rest.AsSpan(Math.Min(PaletteBytes, rest.Length)).Slice(0, Math.Min(rows.Length, Math.Max(0, rest.Length - PaletteBytes))).CopyTo(rows);
        header.Colours(rows, [.. rest.Take(Math.Min(PaletteBytes, rest.Length / 3 * 3))], "picture");
    });

    private static void Read(byte[] input) => Refused(() => s_processor.Patches(PictureFile.Decode(input, "picture"), "picture"));

    private static void Refused(Action read)
    {
        try
        {
            read();
        }
        catch (PictureException e)
        {
            throw new ModelFormatException(e.Message, e);
        }
    }
}

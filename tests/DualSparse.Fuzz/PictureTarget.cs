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
        // A damaged header may ask for as many pixels as are read; they are taken once, and as many bytes again while a file is decoded.
        new("picture", [.. Directory.EnumerateFiles(TestPaths.Golden("vl", "images")).Where(file => file.EndsWith(".png", StringComparison.Ordinal) || file.EndsWith(".jpg", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)], Read)
        {
            MaxAllocatedBytes = 16 * PictureFile.MaxPixels,
        },
        new("processor", [File.ReadAllBytes(TestPaths.Golden("vl", "images", "preprocessor_config.json"))], input => PictureProcessor.Parse(input, "preprocessor_config.json", s_vision)),
        new("address", [Encoding.UTF8.GetBytes("data:image/png;base64,iVBORw0KGgo="), Encoding.UTF8.GetBytes("https://example.org/a.png")], input => Refused(() => DataUri.Read(Encoding.UTF8.GetString(input), "address"))),
    ];

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

using System.Text;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Pictures;

/// <summary>Pictures against the patches that another implementation makes of them.</summary>
public class PictureProcessorTests
{
    // Before normalising, and both decoders round: of 255.
    private const double ExactTolerance = 1e-6, ResizedTolerance = 2 / 255.0 / 0.5;

    [Theory]
    [InlineData("exact.png", true)]
    [InlineData("grey.png", true)]
    [InlineData("palette.png", true)]
    [InlineData("photo.jpg", false)]
    [InlineData("resized.png", false)]
    [InlineData("large.png", false)]
    [InlineData("tiny.png", false)]
    public void Patches_are_those_of_another_implementation(string name, bool exact)
    {
        string path = TestPaths.Golden("vl", "images", name);
        var patches = Processor().Patches(PictureFile.Read(path), name);
        using var file = SafetensorsFile.Open(TestPaths.Golden("vl", "images", "golden.safetensors"));
        long[] grid = file.Get($"{name}.image_grid_thw").ReadInt64s();
        Assert.Equal((grid[0], grid[1], grid[2]), (patches.Grid.Frames, patches.Grid.Rows, patches.Grid.Columns));
        float[] expected = file.Get($"{name}.pixel_values").ReadFloats();
        Assert.Equal(expected.Length, patches.Values.Length);
        double most = expected.Zip(patches.Values, (a, b) => Math.Abs((double)a - b)).Max();
        Assert.InRange(most, 0, exact ? ExactTolerance : ResizedTolerance + ExactTolerance);
    }

    [Theory]
    [InlineData(1000, 1000, 256, 16384, 128, 128)]
    [InlineData(11, 7, 256, 16384, 24, 16)]
    [InlineData(12, 20, 1, 16384, 16, 16)] // 1.5 and 2.5 squares: halves go to even
    [InlineData(4000, 20, 256, 16384, 1808, 8)]
    [InlineData(1, 200, 256, 16384, 8, 232)]
    public void Sizes_are_whole_squares_within_the_limits(int width, int height, long least, long most, int newWidth, int newHeight) =>
        Assert.Equal((newWidth, newHeight), PictureSize.Of(width, height, 8, least, most, "a"));

    [Fact]
    public void A_picture_that_is_a_line_is_refused() =>
        Assert.Contains("the picture has 201 × 1 pixels, expected at most 200 times as many one way as the other", Assert.Throws<PictureException>(() => PictureSize.Of(201, 1, 8, 1, 1000, "a")).Message);

    [Fact]
    public void One_colour_stays_one_in_every_size()
    {
        var flat = new Pixels(37, 23, [.. Enumerable.Range(0, 37 * 23).SelectMany(_ => new byte[] { 3, 127, 254 })]);
        foreach (var (width, height) in new[] { (1, 1), (8, 64), (100, 5), (37, 23), (36, 24) })
            Assert.All(Bicubic.Resize(flat, width, height).Rgb.Chunk(3), colour => Assert.Equal([3, 127, 254], colour));
    }

    [Theory]
    [InlineData("\"patch_size\":14", "'patch_size' is 14, expected 4 as in config.json")]
    [InlineData("\"do_resize\":false", "'do_resize' is false, which is not implemented (expected true)")]
    [InlineData("\"resample\":2", "'resample' is 2, which is not implemented (expected 3)")]
    [InlineData("\"image_std\":[0.5,0,0.5]", "'image_std' is [0.5,0,0.5], expected a number for each of three colours")]
    [InlineData("\"sharpen\":true", "field 'sharpen' (here true) is not known to this program")]
    [InlineData("\"do_pad\":true", "'do_pad' is true, which is not implemented (expected false)")]
    [InlineData("\"size\":{\"shortest_edge\":10,\"longest_edge\":63}", "'size' allows 10 to 63 pixels, expected room for a square of 8")]
    [InlineData("\"size\":{\"height\":224,\"width\":224}", "'size' with 'shortest_edge' is missing")]
    public void What_would_read_pictures_otherwise_is_refused(string field, string expected)
    {
        string size = field.StartsWith("\"size\"", StringComparison.Ordinal) ? "" : ",\"size\":{\"shortest_edge\":256,\"longest_edge\":16384}";
        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => PictureProcessor.Parse(Encoding.UTF8.GetBytes($"{{{field}{size}}}"), "p.json", Vision)).Message);
    }

    [Fact]
    public void Limits_stand_under_older_names_too()
    {
        var old = PictureProcessor.Parse("""{"min_pixels":256,"max_pixels":16384,"image_processor_type":"Qwen2VLImageProcessor"}"""u8.ToArray(), "p", Vision);
        var picture = PictureFile.Read(TestPaths.Golden("vl", "images", "large.png"));
        Assert.Equal(Processor().Patches(picture, "a").Values, old.Patches(picture, "a").Values);
    }

    [Fact]
    public void A_folder_without_the_file_says_so()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("preprocessor_config.json: there is no such file", Assert.Throws<ModelFormatException>(() => PictureProcessor.Load(folder.Path, Vision)).Message);
        File.WriteAllText(folder.File("processor_config.json"), """{"image_processor":{"size":{"shortest_edge":256,"longest_edge":16384}},"processor_class":"X"}""");
        Assert.Equal(new PatchGrid(1, 8, 12), PictureProcessor.Load(folder.Path, Vision).Patches(new Pixels(48, 32, new byte[48 * 32 * 3]), "a").Grid);
    }

    private static VisionConfig Vision => ModelConfig.Load(TestPaths.Golden("vl", "qwen3_vl_moe")).Vision!;

    private static PictureProcessor Processor() => PictureProcessor.Load(TestPaths.Golden("vl", "images"), Vision);
}

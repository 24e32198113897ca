namespace DualSparse.Models.Pictures;

/// <summary>From a picture to what a vision tower reads, as preprocessor_config.json says: size, colours as numbers, patches in their order.</summary>
internal sealed class PictureProcessor
{
    // Pillow's number of bicubic interpolation.
    private const int BicubicInterpolation = 3;

    private const string FileName = "preprocessor_config.json", NewFileName = "processor_config.json";

    // Bookkeeping, and what another library holds beside.
    private static readonly string[] s_harmless =
        ["image_processor_type", "processor_class", "feature_extractor_type", "auto_map", "data_format", "input_data_format", "default_to_square", "device", "disable_grouping", "return_tensors", "image_seq_length", "size_divisor", "pad_size", "crop_size", "video_processor_type"];

    /// <summary>The names of the files that say it; one of them is there.</summary>
    public static IReadOnlyList<string> FileNames { get; } = [FileName, NewFileName];

    private readonly VisionConfig vision;
    private readonly long least;
    private readonly long most;
    private readonly float[][] numbers;

    private PictureProcessor(VisionConfig vision, long least, long most, float[][] numbers) => (this.vision, this.least, this.most, this.numbers) = (vision, least, most, numbers);

    /// <summary>Reads a model's.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="vision">Its tower.</param>
    /// <exception cref="ModelFormatException">The file is missing or damaged, or asks for what isn't implemented.</exception>
    public static PictureProcessor Load(string folder, VisionConfig vision)
    {
        string path = Path.Combine(folder, FileName), newer = Path.Combine(folder, NewFileName);
        if (ModelFile.TryRead(path, ModelConfig.MaxConfigBytes) is { } bytes)
            return Parse(bytes, path, vision);
        if (ModelFile.TryRead(newer, ModelConfig.MaxConfigBytes) is { } both && ConfigFields.Parse(both, newer).Object("image_processor") is { } fields)
            return Read(fields, vision);
        throw new ModelFormatException($"{path}: there is no such file, expected it: it says how this model reads pictures");
    }

    /// <summary>Reads the file's bytes; <paramref name="file"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">As for <see cref="Load"/>.</exception>
    public static PictureProcessor Parse(byte[] json, string file, VisionConfig vision) => Read(ConfigFields.Parse(json, file), vision);

    /// <summary>How many patches a picture becomes.</summary>
    /// <param name="width">Pixels from left to right.</param>
    /// <param name="height">Pixels from top to bottom.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="PictureException">It is too long for its width, or too wide for its height.</exception>
    public PatchGrid Grid(int width, int height, string name)
    {
        int side = vision.PatchSize;
        var (newWidth, newHeight) = PictureSize.Of(width, height, side * vision.Merge, least, most, name);
        return new PatchGrid(1, newHeight / side, newWidth / side);
    }

    /// <summary>The patches of a picture.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="PictureException">It is too long for its width, or too wide for its height.</exception>
    public PicturePatches Patches(Pixels picture, string name)
    {
        int side = vision.PatchSize, merge = vision.Merge;
        var grid = Grid(picture.Width, picture.Height, name);
        int width = grid.Columns * side;
        byte[] rgb = Bicubic.Resize(picture, width, grid.Rows * side).Rgb;
        float[] values = new float[checked(grid.Count * vision.PatchValues)];
        int at = 0;
        for (int patch = 0; patch < grid.Count; patch++)
        {
            var (row, column) = grid.Place(patch, merge);
            for (int colour = 0; colour < 3; colour++)
            {
                // A picture that stands still is the same in all of a patch's frames.
                for (int frame = 0; frame < vision.PatchFrames; frame++)
                {
                    for (int y = 0; y < side; y++)
                    {
                        int pixel = ((row * side + y) * width + column * side) * 3 + colour;
                        for (int x = 0; x < side; x++, pixel += 3)
                            values[at++] = numbers[colour][rgb[pixel]];
                    }
                }
            }
        }

        return new PicturePatches(grid, values, name);
    }

    private static PictureProcessor Read(ConfigFields fields, VisionConfig vision)
    {
        Same("patch_size", vision.PatchSize);
        Same("merge_size", vision.Merge);
        Same("temporal_patch_size", vision.PatchFrames);
        foreach (string name in new[] { "do_resize", "do_rescale", "do_normalize", "do_convert_rgb" })
            fields.RequireNeutral(name, true);
        foreach (string name in new[] { "do_center_crop", "do_pad" })
            fields.RequireNeutral(name, false);
        fields.RequireNeutral("resample", BicubicInterpolation);
        var size = fields.Object("size");
        // Older files have the limits on pixels by these names, or beside.
        long least = Pixels("shortest_edge", "min_pixels"), most = Pixels("longest_edge", "max_pixels");
        size?.RejectUnknown();
        int square = vision.PatchSize * vision.Merge;
        if (least > most || most < (long)square * square)
            throw fields.Error($"'size' allows {least} to {most} pixels, expected room for a square of {square}, which becomes one token");
        double scale = fields.Number("rescale_factor", 0, 1, 1 / 255.0);
        double[] mean = Colours("image_mean"), deviation = Colours("image_std");
        foreach (string name in s_harmless)
            fields.Ignore(name);
        fields.RejectUnknown();
        return new(vision, least, most, [.. mean.Zip(deviation, (m, d) => Enumerable.Range(0, 256).Select(colour => (float)((colour * scale - m) / d)).ToArray())]);

        void Same(string name, int expected)
        {
            if (fields.Int(name, 1, int.MaxValue, expected) is var found && found != expected)
                throw fields.Error($"'{name}' is {found}, expected {expected} as in config.json");
        }

        long Pixels(string inside, string beside)
        {
            ConfigFields[] holders = size is null ? [fields] : [size, fields];
            long? found = null;
            foreach (var holder in holders)
            {
                foreach (string name in new[] { inside, beside })
                {
                    if (holder.OptionalNumber(name, 1, PictureFile.MaxPixels) is { } number)
                        found ??= (long)number;
                }
            }

            return found ?? throw fields.Error($"'size' with '{inside}' is missing: the limits on a picture's pixels");
        }

        double[] Colours(string name)
        {
            double[] values = fields.NumberList(name, -1000, 1000) ?? [0.5, 0.5, 0.5];
            if (values.Length != 3 || name == "image_std" && values.Any(value => value <= 0))
                throw fields.Error($"'{name}' is {fields.Show(name)}, expected a number for each of three colours");
            return values;
        }
    }
}

using DualSparse.Engine.Vision;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;

namespace DualSparse.Evaluation;

/// <summary>
/// The pictures of another engine's reference file: <c>pixel_values</c> [patches of all pictures, numbers] f32 and <c>image_grid_thw</c> [pictures, 3],
/// in the order in which the prompts' image tokens stand for them.
/// </summary>
internal sealed class ReferencePictures
{
    private readonly int[][] prompts;
    private readonly VisionConfig? vision;
    private readonly PicturePatches[][] ofPrompt;

    private ReferencePictures(int[][] prompts, VisionConfig? vision, PicturePatches[][] ofPrompt) => (this.prompts, this.vision, this.ofPrompt) = (prompts, vision, ofPrompt);

    /// <summary>Reads them; a file without <c>pixel_values</c> has none.</summary>
    /// <exception cref="ModelFormatException">The model reads no pictures, or they don't fit the prompts.</exception>
    public static ReferencePictures Read(SafetensorsFile file, ModelConfig config, int[][] prompts)
    {
        if (!file.Tensors.ContainsKey("pixel_values"))
            return new(prompts, null, [.. prompts.Select(_ => Array.Empty<PicturePatches>())]);
        var vision = config.Vision ?? throw new ModelFormatException($"{file.Path}: there are pixel_values, but this model ({config.ModelType}) reads text only");
        TensorView pixels = file.Get("pixel_values"), grids = file.Get("image_grid_thw");
        grids.Expect(grids.Rows, 3);
        var rest = new Queue<PicturePatches>();
        long first = 0;
        foreach (long[] grid in grids.ReadInt64s().Chunk(3))
        {
            if (grid.Any(n => n is < 1 or > ConfigChecks.MaxWidth) || grid[0] * grid[1] * grid[2] > pixels.Rows - first)
                throw new ModelFormatException($"{file.Path}: image_grid_thw has {grid[0]} × {grid[1]} × {grid[2]} patches, expected at most the {pixels.Rows - first} that are left in pixel_values");
            var patches = new PatchGrid((int)grid[0], (int)grid[1], (int)grid[2]);
            float[] values = new float[checked(patches.Count * (int)pixels.RowLength)];
            pixels.ReadFloats(first * pixels.RowLength, values);
            first += patches.Count;
            rest.Enqueue(new PicturePatches(patches, values));
        }

        var ofPrompt = prompts.Select(ids => Taken(rest, ids.Count(id => id == vision.ImageToken), vision.Merge)).ToArray();
        if (rest.Count > 0 || first != pixels.Rows)
            throw new ModelFormatException($"{file.Path}: input_ids has no tokens for {rest.Count} of {grids.Rows} pictures, or pixel_values has {pixels.Rows} patches and image_grid_thw {first}");
        return new(prompts, vision, ofPrompt);
    }

    /// <summary>Where each prompt has its pictures, null for one without.</summary>
    /// <param name="encode">What the model reads of pictures.</param>
    public TextPictures?[] Placed(Func<PicturePatches[], IReadOnlyList<PictureRows>> encode)
    {
        if (vision is null)
            return new TextPictures?[prompts.Length];
        var rows = new Queue<PictureRows>(encode([.. ofPrompt.SelectMany(pictures => pictures)]));
        return [.. prompts.Zip(ofPrompt, (ids, pictures) => TextPictures.Of(ids, vision.ImageToken, [.. pictures.Select(_ => rows.Dequeue())]))];
    }

    private static PicturePatches[] Taken(Queue<PicturePatches> rest, int tokens, int merge)
    {
        List<PicturePatches> taken = [];
        for (; tokens > 0 && rest.TryDequeue(out var picture); tokens -= picture.Grid.Tokens(merge))
            taken.Add(picture);
        return [.. taken];
    }
}

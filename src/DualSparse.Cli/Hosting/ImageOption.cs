using System.CommandLine;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Cli.Hosting;

/// <summary>The option <c>--image</c>: pictures for the model to read, in their order.</summary>
internal sealed class ImageOption
{
    private readonly Option<string[]> files = new("--image")
    {
        Description = "Read this picture too, a PNG or JPEG file; several times for several, in their order.",
        HelpName = "file",
        AllowMultipleArgumentsPerToken = false,
        DefaultValueFactory = _ => [],
    };

    /// <summary>Adds it to a command.</summary>
    public ImageOption(Command command) => command.Options.Add(files);

    /// <summary>The files that were given.</summary>
    public IReadOnlyList<string> Files(ParseResult parsed) => parsed.GetValue(files) ?? [];

    /// <summary>Reads pictures as a model does, before it is loaded.</summary>
    /// <exception cref="ArgumentException">The model reads text only; or a picture can't be read.</exception>
    /// <exception cref="ModelFormatException">The model's folder doesn't say how pictures are read.</exception>
    public static IReadOnlyList<PicturePatches> Read(IReadOnlyList<string> files, string folder, ModelConfig config)
    {
        if (files.Count == 0)
            return [];
        var vision = config.Vision ?? throw new ArgumentException($"--image was given, and this model ({config.ModelType}) reads text only: expected one that reads pictures, such as qwen3_vl_moe");
        var processor = PictureProcessor.Load(ModelPath.Resolve(folder), vision);
        return [.. files.Select(file => processor.Patches(PictureFile.Read(file), file))];
    }
}

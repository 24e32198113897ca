using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Training.Data;

/// <summary>A picture as a line of a file gives it: in the line itself, or in a file of its own, which is read each time.</summary>
/// <param name="Bytes">The picture's file; null: it lies elsewhere.</param>
/// <param name="Path">Where; what messages call it otherwise.</param>
internal sealed record PictureSource(byte[]? Bytes, string Path)
{
    /// <summary>Reads and decodes it.</summary>
    /// <exception cref="PictureException">It is damaged, or not implemented.</exception>
    public Pixels Decode() => PictureFile.Decode(Bytes ?? PictureFile.ReadBytes(Path), Path);
}

/// <summary>
/// Pictures and what is said of them, a line of a file: <c>{"images": ["cat.png"], "turns": [{"prompt": "It shows", "answer": " a cat"}]}</c>, where a
/// picture is a file beside the line's or an address <c>data:image/png;base64,…</c>. Answers are learned, and nothing else.
/// </summary>
/// <param name="Ids">The pictures' tokens, then each prompt, its answer and what ends a text.</param>
/// <param name="Learned">Of each id whether it is to be predicted.</param>
/// <param name="Pictures">Each picture, and its first token's index.</param>
internal sealed record PictureText(int[] Ids, bool[] Learned, IReadOnlyList<(int First, PictureSource Picture)> Pictures)
{
    /// <summary>Reads a line.</summary>
    /// <param name="line">The line.</param>
    /// <param name="setup">The model and its tokenizer.</param>
    /// <param name="processor">The sizes that the model wants pictures in.</param>
    /// <exception cref="ModelFormatException">The line isn't such, or a picture can't be read.</exception>
    public static PictureText Read(JsonLine line, RunSetup setup, PictureProcessor processor)
    {
        var vision = setup.Config.Vision!;
        var fields = line.Parse();
        List<int> ids = [.. setup.Opening];
        List<(int, PictureSource)> pictures = [];
        foreach (var image in fields.Items("images"))
        {
            var source = Source(image);
            try
            {
                var pixels = source.Decode();
                int tokens = processor.Grid(pixels.Width, pixels.Height, source.Path).Tokens(vision.Merge);
                ids.Add(vision.StartToken);
                pictures.Add((ids.Count, source));
                ids.AddRange(Enumerable.Repeat(vision.ImageToken, tokens));
                ids.Add(vision.EndToken);
            }
            catch (PictureException e)
            {
                throw new ModelFormatException($"{image.File}: '{image.Path}': {e.Message}", e);
            }
        }

        var learned = Enumerable.Repeat(false, ids.Count).ToList();
        foreach (var turn in fields.Items("turns"))
        {
            Add(setup.Tokenizer.Encode(turn.Text("prompt"), addSpecial: false, allowSpecial: false), false);
            Add(setup.Tokenizer.Encode(turn.Text("answer"), addSpecial: false, allowSpecial: false), true);
            if (setup.Separator is { } end)
                Add([end], true);
        }

        return learned.Contains(true) ? new PictureText([.. ids], [.. learned], pictures) : throw fields.Error("it has no answer to learn");

        void Add(int[] more, bool wanted)
        {
            ids.AddRange(more);
            learned.AddRange(Enumerable.Repeat(wanted, more.Length));
        }
    }

    private static PictureSource Source(JsonField image)
    {
        string text = image.AsText(), where = $"{image.File}: '{image.Path}'";
        try
        {
            return text.Contains(':', StringComparison.Ordinal) && !File.Exists(Beside(text))
                ? new PictureSource(DataUri.Read(text, where), where)
                : new PictureSource(null, Beside(text));
        }
        catch (PictureException e)
        {
            throw new ModelFormatException(e.Message, e);
        }

        // A line's errors name its file and then the line.
        string Beside(string name) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(image.File[..image.File.LastIndexOf(": line ", StringComparison.Ordinal)]))!, name);
    }
}

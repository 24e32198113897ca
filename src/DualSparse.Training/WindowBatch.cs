using System.Text.Json.Serialization;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Ops;
using DualSparse.Models.Pictures;
using DualSparse.Training.Ops;

namespace DualSparse.Training;

/// <summary>A picture in a batch.</summary>
/// <param name="First">Its first token, counted from the batch's first.</param>
/// <param name="Patches">The picture.</param>
internal sealed record WindowPicture(int First, PicturePatches Patches);

/// <summary>Windows of tokens that are computed together, each a text of its own from position 0 on, or several.</summary>
/// <param name="Windows">How many.</param>
/// <param name="Length">Tokens of each.</param>
/// <param name="Inputs">[windows · length] ids.</param>
/// <param name="Targets">[windows · length] the id to predict at each place; below 0: none.</param>
internal sealed record WindowBatch(int Windows, int Length, int[] Inputs, int[] Targets)
{
    /// <summary>Pictures whose rows stand in the place of tokens, in their order.</summary>
    [JsonIgnore]
    public IReadOnlyList<WindowPicture> Pictures { get; init; } = [];

    /// <summary>The texts in order, each from position 0 on, where windows have several; together they are all tokens. Null: each window is one.</summary>
    [JsonIgnore]
    public Window[]? Parts { get; init; }

    /// <summary>The texts in order: neighbouring tokens that see one another and no others.</summary>
    [JsonIgnore]
    public Window[] Texts => Parts ?? [.. Enumerable.Range(0, Windows).Select(window => new Window(window * Length, Length))];

    /// <summary>Tokens of all windows.</summary>
    [JsonIgnore]
    public int Tokens => Windows * Length;

    /// <summary>Some of the windows.</summary>
    public WindowBatch Slice(int first, int count)
    {
        int begin = first * Length, end = begin + count * Length;
        return new WindowBatch(count, Length, Inputs[begin..end], Targets[begin..end])
        {
            Parts = Parts is null ? null : [.. Parts.Where(text => text.First >= begin && text.First < end).Select(text => text with { First = text.First - begin })],
            Pictures = [.. Pictures.Where(picture => picture.First >= begin && picture.First < end).Select(picture => picture with { First = picture.First - begin })],
        };
    }

    /// <summary>Where each token is in its text.</summary>
    /// <param name="merge">Patches along the side of a square that becomes a token.</param>
    public GridPlace[] Places(int merge)
    {
        var places = new GridPlace[Tokens];
        int picture = 0;
        foreach (var (first, count) in Texts)
        {
            List<(int, PictureRows)> own = [];
            for (; picture < Pictures.Count && Pictures[picture].First < first + count; picture++)
                own.Add((Pictures[picture].First - first, new PictureRows(Pictures[picture].Patches.Grid.Rows / merge, Pictures[picture].Patches.Grid.Columns / merge, [])));
            var pictures = own.Count == 0 ? null : TextPictures.At(own);
            for (int t = 0; t < count; t++)
                places[first + t] = pictures?.Place(t) ?? GridPlace.OfText(t);
        }

        return places;
    }
}

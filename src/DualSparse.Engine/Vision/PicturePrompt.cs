using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>A prompt with pictures: of each as many tokens as the model reads of it, in whose place its rows come.</summary>
/// <param name="Ids">The prompt's tokens.</param>
/// <param name="Pictures">The pictures, in the order in which the tokens stand for them.</param>
internal sealed record PicturePrompt(int[] Ids, IReadOnlyList<PicturePatches> Pictures)
{
    /// <summary>
    /// A text in which one token stands for each picture, as chat templates write them; or in which none does: then the pictures come before it.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="ids">The text.</param>
    /// <param name="pictures">The pictures.</param>
    /// <param name="contextTokens">The most tokens that there is room for.</param>
    /// <exception cref="ArgumentException">
    /// The model reads text only, the text has tokens for another number of pictures or for a film, or a picture is larger than the context.
    /// </exception>
    public static PicturePrompt Of(ModelConfig config, ReadOnlySpan<int> ids, IReadOnlyList<PicturePatches> pictures, int contextTokens)
    {
        if (config.Vision is not { } vision)
            return pictures.Count == 0 ? new PicturePrompt(ids.ToArray(), []) : throw TextOnly(config);
        foreach (var picture in pictures)
            RequireRoom(vision, picture, contextTokens);
        if (ids.Contains(vision.VideoToken))
            throw new ArgumentException("the prompt has a token that stands for a film, which isn't implemented: expected pictures");
        int places = ids.Count(vision.ImageToken);
        if (places == 0)
            ids = Before(config, vision, ids, pictures.Count);
        else if (places != pictures.Count)
            throw new ArgumentException($"the prompt has places for {places} pictures, expected {pictures.Count}, as many as there are");
        List<int> expanded = [];
        int next = 0;
        foreach (int id in ids)
            expanded.AddRange(Enumerable.Repeat(id, id == vision.ImageToken ? pictures[next++].Grid.Tokens(vision.Merge) : 1));
        return new PicturePrompt([.. expanded], pictures);
    }

    /// <summary>Checks that there is room for a picture.</summary>
    /// <exception cref="ArgumentException">There isn't.</exception>
    public static void RequireRoom(VisionConfig vision, PicturePatches picture, int contextTokens)
    {
        if (picture.Grid.Tokens(vision.Merge) is var tokens && tokens >= contextTokens)
            throw new ArgumentException($"{picture.Name} becomes {tokens} tokens, and there is room for {contextTokens}: make it smaller");
    }

    /// <summary>The error that a model has no tower.</summary>
    public static ArgumentException TextOnly(ModelConfig config) => new($"this model ({config.ModelType}) reads text only, expected one that reads pictures, such as qwen3_vl_moe");

    /// <summary>Checks that tokens that stand for pictures have them.</summary>
    /// <exception cref="ArgumentException">They haven't, or stand for a film.</exception>
    public static void Require(ModelConfig config, ReadOnlySpan<int> ids, IReadOnlyList<PicturePatches> pictures)
    {
        if (config.Vision is not { } vision)
        {
            if (pictures.Count > 0)
                throw TextOnly(config);
            return;
        }

        int tokens = ids.Count(vision.ImageToken), expected = pictures.Sum(picture => picture.Grid.Tokens(vision.Merge));
        if (ids.Contains(vision.VideoToken))
            throw new ArgumentException("the prompt has a token that stands for a film, which isn't implemented: expected pictures");
        if (tokens != expected)
            throw new ArgumentException($"the prompt has {tokens} tokens that stand for pictures, expected {expected}, those of its {pictures.Count} pictures");
    }

    // Pictures before a text, but for what a text of this model begins with.
    private static int[] Before(ModelConfig config, VisionConfig vision, ReadOnlySpan<int> ids, int pictures)
    {
        int opening = ids.Length > 0 && ids[0] == config.Generation.BosId ? 1 : 0;
        return [.. ids[..opening], .. Enumerable.Repeat<int[]>([vision.StartToken, vision.ImageToken, vision.EndToken], pictures).SelectMany(id => id), .. ids[opening..]];
    }
}

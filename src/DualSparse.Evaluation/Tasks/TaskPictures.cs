using DualSparse.Engine;
using DualSparse.Engine.Vision;
using DualSparse.Models.Pictures;

namespace DualSparse.Evaluation.Tasks;

/// <summary>What stands before an item's texts.</summary>
/// <param name="Ids">The opening id; or what the tokenizer begins a prompt with, if anything, and the pictures' tokens.</param>
/// <param name="Placed">The pictures' rows at their places; null: there are none.</param>
internal sealed record ItemBeginning(int[] Ids, TextPictures? Placed);

/// <summary>Reads the pictures of items, one item's at a time; the tower isn't asked again for one that comes again soon.</summary>
/// <param name="model">The model.</param>
/// <param name="encoder">What sequences begin with, and how long they may be.</param>
internal sealed class TaskPictures(Transformer model, CandidateEncoder encoder)
{
    private readonly PictureMemory seen = new();
    private PictureProcessor? processor;

    /// <summary>Checks that a model reads what a task has.</summary>
    /// <exception cref="ArgumentException">It reads text only, and an item has a picture.</exception>
    public static void Require(Transformer model, TaskSet task)
    {
        if (model.Config.Vision is null && task.Items.FirstOrDefault(item => item.Pictures.Count > 0) is { } item)
            throw new ArgumentException($"{item.Pictures[0].Where}: {PicturePrompt.TextOnly(model.Config).Message}");
    }

    /// <summary>Reads an item's pictures.</summary>
    /// <exception cref="PictureException">One can't be read.</exception>
    /// <exception cref="ArgumentException">One is larger than the context.</exception>
    public ItemBeginning Read(IReadOnlyList<TaskPicture> pictures)
    {
        if (pictures.Count == 0)
            return new ItemBeginning([encoder.Opening], null);
        var vision = model.Config.Vision!;
        processor ??= PictureProcessor.Load(model.Folder, vision);
        // Each one's patches are let go before the next are read.
        List<PicturePatches> patches = [];
        List<PictureRows> rows = [];
        foreach (var picture in pictures)
        {
            var read = picture.Read(processor);
            PicturePrompt.RequireRoom(vision, read, encoder.Length);
            patches.Add(new PicturePatches(read.Grid, [], read.Name));
            rows.Add(seen.Get(read, model.Encode));
        }

        // As a prompt begins: the pictures are enough to predict the next id from.
        int[] ids = PicturePrompt.Of(model.Config, encoder.PromptBeginning, patches, encoder.Length).Ids;
        return new ItemBeginning(ids, TextPictures.Of(ids, vision.ImageToken, rows));
    }
}

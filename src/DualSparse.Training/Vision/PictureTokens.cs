using System.Runtime.InteropServices;
using DualSparse.Engine.Vision;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Vision;

/// <summary>
/// Where a text model's residual stream meets the tower's rows: they stand in the place of tokens' embeddings, and further ones are added behind its
/// first layers. Backwards the same rows' gradients are the tower's.
/// </summary>
/// <param name="work">Threads, scratch.</param>
/// <param name="set">The tensors.</param>
/// <param name="model">The model.</param>
/// <param name="vision">Its tower.</param>
internal sealed unsafe class PictureTokens(TrainingWork work, ParameterSet set, ModelConfig model, VisionConfig vision) : IDisposable
{
    private readonly TrainableTower tower = new(work, set, model, vision);

    /// <summary>The tower's linear maps.</summary>
    public IEnumerable<Linear> Maps => tower.Maps;

    /// <summary>Floating-point operations of a batch's pictures on their way forward.</summary>
    public double Operations(WindowBatch batch) => tower.Operations([.. batch.Pictures.Select(picture => picture.Patches)]);

    /// <summary>Computes a batch's pictures, and puts their rows in the place of embeddings.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="h">[tokens, hidden] f32.</param>
    public void Embed(WindowBatch batch, float* h)
    {
        if (batch.Pictures.Count == 0)
            return;
        tower.Forward([.. batch.Pictures.Select(picture => picture.Patches)]);
        float* rows = tower.Level(0);
        foreach (var (first, count) in Rows(batch))
        {
            NativeMemory.Copy(rows, h + first, (nuint)count * sizeof(float));
            rows += count;
        }
    }

    /// <summary>h += the rows that come behind a layer, if there are any.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="h">[tokens, hidden] f32.</param>
    public void Add(WindowBatch batch, int layer, float* h)
    {
        if (!HasLevel(batch, layer + 1))
            return;
        float* rows = tower.Level(layer + 1);
        foreach (var (first, count) in Rows(batch))
        {
            ParallelSum.Add(work.Team, h + first, count, (nint)rows);
            rows += count;
        }
    }

    /// <summary>Takes the gradient of the rows that came behind a layer, if there were any.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="dh">[tokens, hidden] f32: the gradient of what <see cref="Add"/> gave.</param>
    public void BackwardAdd(WindowBatch batch, int layer, float* dh)
    {
        if (HasLevel(batch, layer + 1))
            Take(batch, layer + 1, dh);
    }

    /// <summary>Takes the gradient of the rows that stood for embeddings, which were never read: it is 0 there afterwards. Adds the gradients of the tower's tensors.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="dh">[tokens, hidden] f32.</param>
    public void BackwardEmbed(WindowBatch batch, float* dh)
    {
        if (batch.Pictures.Count == 0)
            return;
        Take(batch, 0, dh);
        foreach (var (first, count) in Rows(batch))
            NativeMemory.Clear(dh + first, (nuint)count * sizeof(float));
        tower.Backward();
    }

    /// <summary>Checks that each picture stands inside one text.</summary>
    /// <exception cref="ArgumentException">One doesn't, or isn't of this model's patches.</exception>
    public static void Check(WindowBatch batch, ModelConfig model)
    {
        if (batch.Pictures.Count == 0)
            return;
        if (model.Vision is not { } vision)
            throw PicturePrompt.TextOnly(model);
        foreach (var (first, patches) in batch.Pictures)
        {
            int tokens = patches.Grid.Tokens(vision.Merge);
            if (!batch.Texts.Any(text => first >= text.First && first + tokens <= text.First + text.Count))
                throw new ArgumentException($"a picture of {tokens} tokens begins at token {first}, expected it inside one of {batch.Texts.Length} texts of {batch.Tokens} tokens");
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => tower.Dispose();

    private bool HasLevel(WindowBatch batch, int level) => batch.Pictures.Count > 0 && level < tower.Levels;

    private void Take(WindowBatch batch, int level, float* dh)
    {
        float* rows = tower.LevelGradient(level);
        foreach (var (first, count) in Rows(batch))
        {
            NativeMemory.Copy(dh + first, rows, (nuint)count * sizeof(float));
            rows += count;
        }
    }

    // The values of each picture's rows in the residual stream.
    private IEnumerable<(nint First, nint Count)> Rows(WindowBatch batch) =>
        batch.Pictures.Select(picture => ((nint)picture.First * model.HiddenSize, (nint)picture.Patches.Grid.Tokens(vision.Merge) * model.HiddenSize));
}

using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>
/// From a picture's patches to rows of the text model: an embedding, blocks, and a merger; further mergers behind some of the blocks. Each picture by
/// itself, so that its rows don't depend on others. The weights never change; one picture at a time.
/// </summary>
internal sealed unsafe class VisionTower : IDisposable
{
    private readonly VisionConfig config;
    private readonly int outputs;
    private readonly Linear patches;
    private readonly PatchPositions positions;
    private readonly VisionBlock[] blocks;
    private readonly NormedMlp merger;
    private readonly NormedMlp[] deepMergers;
    private readonly VisionMemory memory = new();

    /// <summary>Loads a tower.</summary>
    /// <param name="loader">The checkpoint.</param>
    /// <param name="config">The tower.</param>
    /// <param name="tensors">Its tensors.</param>
    /// <param name="outputs">The text model's hidden size.</param>
    public VisionTower(ModelLoader loader, VisionConfig config, VisionTensors tensors, int outputs)
    {
        (this.config, this.outputs) = (config, outputs);
        var rope = PatchAttention.Rotation(config);
        // As of the text model, embeddings keep the checkpoint's precision.
        patches = loader.Linear(tensors.Patches, WeightFormat.F32);
        positions = new PatchPositions(config, loader.Vector(tensors.Positions)!);
        blocks = [.. Enumerable.Range(0, config.Layers).Select(block => new VisionBlock(loader, config, tensors.Block(block), rope))];
        merger = new NormedMlp(loader, tensors.Merger, exact: true);
        deepMergers = [.. Enumerable.Range(0, config.DeepLayers.Count).Select(index => new NormedMlp(loader, tensors.DeepMerger(index), exact: true))];
    }

    /// <summary>Computes a picture's rows.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="picture">The picture.</param>
    /// <exception cref="ArgumentException">It isn't of this model's patches.</exception>
    public PictureRows Forward(Workspace work, PicturePatches picture)
    {
        picture.Require(config);
        var grid = picture.Grid;
        int hidden = config.HiddenSize, tokens = grid.Tokens(config.Merge);
        float* x = memory.Residual.Floats((nint)grid.Count * hidden);
        fixed (float* values = picture.Values)
            patches.Forward(work, values, grid.Count, x);
        Attention.ForTokens(work, grid.Count, patch =>
        {
            var (row, column) = grid.Place(patch, config.Merge);
            positions.Add(grid, row, column, new Span<float>(x + (nint)patch * hidden, hidden));
        });
        float[][] levels = [.. Enumerable.Range(0, 1 + deepMergers.Length).Select(_ => new float[checked(tokens * outputs)])];
        for (int block = 0, deep = 0; block < blocks.Length; block++)
        {
            blocks[block].Forward(work, memory, grid, x);
            if (deep < deepMergers.Length && config.DeepLayers[deep] == block)
                Merge(deepMergers[deep], levels[++deep]);
        }

        Merge(merger, levels[0]);
        return new PictureRows(grid.Rows / config.Merge, grid.Columns / config.Merge, levels) { Digest = picture.Digest };

        void Merge(NormedMlp merger, float[] level)
        {
            fixed (float* rows = level)
                merger.Forward(work, memory, x, grid.Count, hidden, rows);
        }
    }

    /// <summary>Frees weights and memory.</summary>
    public void Dispose()
    {
        patches.Dispose();
        Array.ForEach(blocks, block => block.Dispose());
        merger.Dispose();
        Array.ForEach(deepMergers, merger => merger.Dispose());
        memory.Dispose();
    }
}

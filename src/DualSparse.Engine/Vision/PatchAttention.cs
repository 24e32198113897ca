using DualSparse.Engine.Loading;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>Attention of all patches of a picture to all of them, turned by their rows and columns.</summary>
internal sealed unsafe class PatchAttention : IDisposable
{
    private readonly VisionConfig config;
    private readonly AttentionShape shape;
    private readonly Rope rope;
    private readonly Linear queryKeyValue;
    private readonly Linear output;

    /// <summary>Loads a block's.</summary>
    public PatchAttention(ModelLoader loader, VisionConfig config, VisionBlockTensors tensors, Rope rope)
    {
        (this.config, this.rope) = (config, rope);
        var cache = new KvLayout(config.Heads, config.HeadSize, config.HeadSize, KvLayout.FormatFor(loader.Weights));
        shape = new AttentionShape(config.Heads, cache, (float)(1 / Math.Sqrt(config.HeadSize)), Causal: false);
        (queryKeyValue, output) = (loader.Linear(tensors.QueryKeyValue), loader.Linear(tensors.Output));
    }

    /// <summary>RoPE of a tower's blocks.</summary>
    public static Rope Rotation(VisionConfig config)
    {
        int half = config.HeadSize / 4;
        return new Rope(config.InverseFrequencies(), axes: [.. Enumerable.Repeat(GridAxis.Row, half), .. Enumerable.Repeat(GridAxis.Column, half)]);
    }

    /// <summary>Computes it.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="memory">Scratch.</param>
    /// <param name="grid">The picture's patches.</param>
    /// <param name="x">[patches, hidden] f32, normalised.</param>
    /// <param name="y">[patches, hidden] f32, overwritten.</param>
    public void Forward(Workspace work, VisionMemory memory, PatchGrid grid, float* x, float* y)
    {
        int patches = grid.Count, width = config.HiddenSize, size = config.HeadSize, pageCount = (int)KvLayout.PageCount(patches);
        float* projected = memory.QueryKeyValue.Floats((nint)patches * queryKeyValue.Outputs), attended = memory.Attended.Floats((nint)patches * width);
        nint pageBytes = (nint)shape.Cache.PageBytes;
        byte* memoryOfPages = (byte*)memory.Pages.Floats(pageCount * pageBytes / sizeof(float));
        queryKeyValue.Forward(work, x, patches, projected);
        rope.Prepare(Math.Max(grid.Rows, grid.Columns));
        work.Team.For(pageCount, (page, _) => shape.Cache.Clear(memoryOfPages + page * pageBytes, patches - page * KvLayout.PageKeys));
        Attention.ForTokens(work, patches, patch =>
        {
            var token = new Span<float>(projected + (nint)patch * queryKeyValue.Outputs, queryKeyValue.Outputs);
            var (row, column) = grid.Place(patch, config.Merge);
            var turn = rope.Turn(new GridPlace(0, row, column), stackalloc float[rope.TurnRoom]);
            for (int head = 0; head < 2 * config.Heads; head++)
                rope.Rotate(token.Slice(head * size, size), turn);
            byte* page = memoryOfPages + patch / KvLayout.PageKeys * pageBytes;
            for (int head = 0; head < config.Heads; head++)
                shape.Cache.Write(page, patch % KvLayout.PageKeys, head, token.Slice(width + head * size, size), token.Slice(2 * width + head * size, size));
        });
        byte*[] pages = new byte*[pageCount];
        for (int page = 0; page < pageCount; page++)
            pages[page] = memoryOfPages + page * pageBytes;
        fixed (byte** list = pages)
        {
            AttentionKernel.Forward(work, shape,
            [
                new AttentionSegment { Queries = projected, QueryStride = queryKeyValue.Outputs, Output = attended, OutputStride = width, Pages = list, First = 0, Count = patches },
            ]);
        }

        output.Forward(work, attended, patches, y);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        queryKeyValue.Dispose();
        output.Dispose();
    }
}

using DualSparse.Engine.Vision;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Vision;

/// <summary>A vision tower with gradients: from pictures' patches to rows of the text model, and back. All pictures of a batch together.</summary>
internal sealed unsafe class TrainableTower : IDisposable
{
    private readonly TrainingWork work;
    private readonly ParameterSet set;
    private readonly VisionConfig config;
    private readonly int outputs;
    private readonly Rope rope;
    private readonly Linear embedding;
    private readonly Parameter positions;
    private readonly TowerBlock[] blocks;
    private readonly TowerMlp[] mergers;
    private readonly ScratchBuffer values = new(), rows = new(), gradient = new();
    private readonly ScratchBuffer[] levels, levelGradients;
    private TowerPatches patches;
    private GridCorner[] corners = [];

    /// <summary>Takes a tower's tensors.</summary>
    public TrainableTower(TrainingWork work, ParameterSet set, ModelConfig model, VisionConfig config)
    {
        (this.work, this.set, this.config, outputs) = (work, set, config, model.HiddenSize);
        var tensors = model.Tensors.Vision!;
        rope = PatchAttention.Rotation(config);
        embedding = new Linear(work.Arithmetic, set, set.Find(tensors.Patches.Weight), set.Find(tensors.Patches.Bias));
        positions = set.Find(tensors.Positions);
        blocks = [.. Enumerable.Range(0, config.Layers).Select(block => new TowerBlock(work.Arithmetic, set, config, tensors.Block(block)))];
        var all = Enumerable.Range(0, config.DeepLayers.Count).Select(tensors.DeepMerger).Prepend(tensors.Merger);
        mergers = [.. all.Select(merger => new TowerMlp(work.Arithmetic, set, merger, exact: true))];
        levels = [.. mergers.Select(_ => new ScratchBuffer())];
        levelGradients = [.. mergers.Select(_ => new ScratchBuffer())];
        patches = new TowerPatches(config, []);
    }

    /// <summary>Its linear maps.</summary>
    public IEnumerable<Linear> Maps => [embedding, .. blocks.SelectMany(block => block.Maps), .. mergers.SelectMany(merger => merger.Maps)];

    /// <summary>Levels of rows: those that stand for tokens, then those that are added behind the text model's first layers.</summary>
    public int Levels => mergers.Length;

    private nint PatchRowValues => (nint)patches.Count * config.HiddenSize;

    /// <summary>A level's rows, [tokens, hidden of the text model] f32, the pictures' one behind another.</summary>
    public float* Level(int level) => levels[level].Current;

    /// <summary>Their gradient, to be written between <see cref="Forward"/> and <see cref="Backward"/>.</summary>
    public float* LevelGradient(int level) => levelGradients[level].Floats((nint)patches.Count / config.MergedPatches * outputs);

    /// <summary>Floating-point operations of a forward pass.</summary>
    /// <param name="pictures">The pictures.</param>
    public double Operations(IReadOnlyList<PicturePatches> pictures)
    {
        double count = pictures.Sum(picture => picture.Grid.Count), pairs = pictures.Sum(picture => (double)picture.Grid.Count * picture.Grid.Count);
        double maps = blocks.SelectMany(block => block.Maps).Append(embedding).Sum(map => (double)map.Inputs * map.Outputs) * count;
        double merged = mergers.SelectMany(merger => merger.Maps).Sum(map => (double)map.Inputs * map.Outputs) * count / config.MergedPatches;
        return 2 * (maps + merged + 2 * pairs * config.HiddenSize * config.Layers);
    }

    /// <summary>Computes all levels.</summary>
    /// <param name="pictures">The pictures.</param>
    /// <exception cref="ArgumentException">One isn't of this model's patches.</exception>
    public void Forward(IReadOnlyList<PicturePatches> pictures)
    {
        patches = new TowerPatches(config, pictures);
        corners = PositionsOp.Corners(config, patches);
        float* x = rows.Floats(PatchRowValues), all = values.Floats((nint)patches.Count * config.PatchValues);
        for (int picture = 0; picture < pictures.Count; picture++)
            pictures[picture].Values.CopyTo(new Span<float>(all + (nint)patches.Pictures[picture].First * config.PatchValues, pictures[picture].Values.Length));
        embedding.Forward(work, all, patches.Count, x);
        PositionsOp.Forward(work.Team, corners, set.Values + positions.Offset, config.HiddenSize, x);
        for (int block = 0, deep = 0; block < blocks.Length; block++)
        {
            blocks[block].Forward(work, patches, rope, x);
            if (deep < config.DeepLayers.Count && config.DeepLayers[deep] == block)
                Merge(++deep, x);
        }

        Merge(0, x);
    }

    /// <summary>Adds the gradients of its tensors, given those of all levels.</summary>
    public void Backward()
    {
        float* dx = gradient.Floats(PatchRowValues);
        new Span<float>(dx, checked((int)PatchRowValues)).Clear();
        Back(0, dx);
        for (int block = blocks.Length - 1, deep = config.DeepLayers.Count; block >= 0; block--)
        {
            if (deep > 0 && config.DeepLayers[deep - 1] == block)
                Back(deep--, dx);
            blocks[block].Backward(work, patches, rope, dx);
        }

        PositionsOp.Backward(work.Team, corners, dx, config.HiddenSize, set.Gradients + positions.Offset);
        embedding.BackwardWeight(work, dx, values.Current, patches.Count);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var one in new IDisposable[] { embedding, values, rows, gradient }.Concat(blocks).Concat(mergers).Concat(levels).Concat(levelGradients))
            one.Dispose();
    }

    private void Merge(int level, float* x) =>
        mergers[level].Forward(work, x, PatchRowValues, levels[level].Floats((nint)patches.Count / config.MergedPatches * outputs), add: false);

    private void Back(int level, float* dx) => mergers[level].Backward(work, levelGradients[level].Current, PatchRowValues, dx);
}

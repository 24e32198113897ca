using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine.Loading;

/// <summary>
/// Runs windows of text through a model with one layer at a time in memory, or with those that a shortcut joins. Several drop plans run in lockstep, so that each layer is
/// loaded once for all. The results equal, bit for bit, those of <see cref="Transformer"/>. Not for concurrent use.
/// </summary>
internal sealed unsafe class LayerStream : IDisposable
{
    // 64 MiB of logits at a time, however large the vocabulary.
    private const long MaxLogits = 16 << 20;

    private readonly Checkpoint checkpoint;
    private readonly EngineOptions options;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly Pass pass;
    private readonly ScratchBuffer denseLogits = new();
    private readonly ModelLoader loader;
    private readonly DropPlanner planner;
    private readonly IReadOnlyList<LayerGroup> groups;

    private LayerStream(Checkpoint checkpoint, EngineOptions options)
    {
        (this.checkpoint, this.options) = (checkpoint, options);
        team = new ThreadTeam(options.Threads ?? ThreadTeam.Available);
        work = new Workspace(team, options.Kernels ?? KernelSet.Best());
        pass = new Pass(checkpoint.Config, work);
        loader = new ModelLoader(checkpoint, options, team);
        planner = new DropPlanner(checkpoint, options.NeuronOrder is not null);
        groups = LayerProgram.Groups(checkpoint.Config);
    }

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config => checkpoint.Config;

    // Residual streams that lead from layer to layer.
    private int Streams => Config.Wiring == Wiring.FarSkip ? 2 : 1;

    /// <summary>Bytes of the weights in the checkpoint.</summary>
    public long CheckpointBytes => Config.Tensors.All().Sum(t => checkpoint.Get(t.Name, t.Shape).ByteLength);

    /// <summary>Opens a Hugging Face folder; no weight is read yet.</summary>
    /// <param name="folder">config.json, safetensors.</param>
    /// <param name="options">Weights, threads, kernels; its drop is ignored.</param>
    /// <exception cref="ModelFormatException">The folder is damaged or not implemented.</exception>
    public static LayerStream Open(string folder, EngineOptions? options = null)
    {
        var checkpoint = Checkpoint.Open(folder);
        try
        {
            return new LayerStream(checkpoint, options ?? new EngineOptions());
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="DropPlanner.Plan"/>
    public DropPlan Plan(DropRequest request, IReadOnlyList<Compensation?>? means = null) => planner.Plan(request, means);

    /// <summary>What the model reads of pictures; its tower is in memory meanwhile.</summary>
    /// <exception cref="ArgumentException">The model reads no pictures, or one isn't of its patches.</exception>
    public IReadOnlyList<PictureRows> Encode(IEnumerable<PicturePatches> pictures)
    {
        using var tower = loader.LoadTower() ?? throw new ArgumentException($"{checkpoint.Folder}: this model ({Config.ModelType}) reads text only, expected one with a vision tower for pictures");
        return [.. pictures.Select(picture => tower.Forward(work, picture))];
    }

    /// <summary>Runs every window, each as a separate text, under every plan.</summary>
    /// <param name="windows">Token ids, none longer than the model's context.</param>
    /// <param name="variants">Drop plans of this model; the first drops nothing.</param>
    /// <param name="hooks">Observers.</param>
    /// <param name="progress">Receives the share done, from 0 to 1.</param>
    /// <param name="cancel">Cancels between two windows of a layer.</param>
    /// <param name="pictures">[windows] their pictures, null for one without; null: none has any.</param>
    /// <returns>[variants][layers] the routed experts' work.</returns>
    /// <exception cref="ArgumentException">There is no window or it is empty, an id is outside the vocabulary, or the first plan drops something.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory for the keys and values of the longest window.</exception>
    /// <exception cref="ModelFormatException">A weight can't be read, or the model needs more memory than is free.</exception>
    public IReadOnlyList<IReadOnlyList<DropCounts>> Run(
        IReadOnlyList<int[]> windows, IReadOnlyList<DropPlan> variants, StreamHooks hooks, IProgress<double>? progress = null, CancellationToken cancel = default,
        IReadOnlyList<TextPictures?>? pictures = null)
    {
        Check(windows, variants);
        var texts = variants.Select(v => windows.Select(_ => new TextDrop(v, Config.Layers)).ToArray()).ToArray();
        var counts = variants.Select(_ => new DropCounts[Config.Layers]).ToArray();
        var embedding = new Embedding(checkpoint.Get(Config.Tensors.Embedding));
        var states = new StreamStates(variants.Count, [.. windows.Select(w => Embed(embedding, w))]);
        int[] longest = windows.MaxBy(w => w.Length)!;
        using var cache = KvCache.OfLayers(Config, loader.Weights, longest.Length, options.Trunk, groups.Max(group => group.Count));
        KvCache.Reserve([new SequenceChunk(cache, longest)]);
        int rounds = Config.Layers + (hooks.Logits is null ? 0 : 1);
        foreach (var group in groups)
        {
            using var layers = new LoadedLayers(loader, group);
            int l = group.First + group.Count - 1;
            for (int w = 0; w < windows.Count; w++)
            {
                cancel.ThrowIfCancellationRequested();
                // The dense state advances last: a variant that drops here for the first time starts from it.
                for (int v = variants.Count - 1; v >= 0; v--)
                {
                    if (v > 0 && !Drops(variants[v], group) && !states.Differs(v))
                        continue;
                    var step = new StreamStep(l, v, w);
                    Forward(layers, new Segment(cache, 0, windows[w].Length, Drop: texts[v][w], Pictures: pictures?[w]), hooks.Watch?.Invoke(step), states.Of(v, w), cancel);
                    foreach (int own in layers.Indices)
                        counts[v][own] += pass.Counts(0)[own];
                    hooks.After?.Invoke(step);
                }

                progress?.Report((l + (w + 1.0) / windows.Count) / rounds);
            }

            for (int v = 1; v < variants.Count; v++)
            {
                if (Drops(variants[v], group))
                    states.SetDiffers(v);
                foreach (int own in layers.Indices)
                {
                    if (!states.Differs(v))
                        counts[v][own] = counts[0][own];
                }
            }
        }

        if (hooks.Logits is not null)
            Logits(windows.Count, variants.Count, states, hooks.Logits, w => progress?.Report((Config.Layers + (w + 1.0) / windows.Count) / rounds), cancel);
        return counts;
    }

    /// <summary>Frees threads and scratch memory.</summary>
    public void Dispose()
    {
        denseLogits.Dispose();
        pass.Dispose();
        work.Dispose();
        team.Dispose();
        checkpoint.Dispose();
    }

    private static bool Drops(DropPlan plan, LayerGroup group) =>
        Enumerable.Range(group.First, group.Count).Any(layer => plan.Rule(layer, generated: false) is not null);

    private void Forward(LoadedLayers layers, Segment segment, PassWatch? watch, float[] state, CancellationToken cancel)
    {
        pass.Begin([segment], watch);
        int size = state.Length / Streams;
        for (int s = 0; s < Streams; s++)
            state.AsSpan(s * size, size).CopyTo(new Span<float>(pass.Stream(s), size));
        if (layers.IsFirst)
            pass.ReadPictures(0, pass.Stream(0));
        LayerProgram.Run(layers.Operators, layers.Of, pass, cancel);
        for (int s = 0; s < Streams; s++)
            new ReadOnlySpan<float>(pass.Stream(s), size).CopyTo(state.AsSpan(s * size, size));
    }

    private void Logits(int windows, int variants, StreamStates states, WindowLogits observer, Action<int> done, CancellationToken cancel)
    {
        int hidden = Config.HiddenSize, vocabulary = Config.VocabSize;
        using var head = loader.LoadHead();
        int block = (int)Math.Max(1, MaxLogits / vocabulary);
        for (int w = 0; w < windows; w++)
        {
            cancel.ThrowIfCancellationRequested();
            int tokens = states.Of(0, w).Length / Streams / hidden;
            for (int first = 0; first < tokens; first += block)
            {
                int rows = Math.Min(block, tokens - first);
                float* dense = denseLogits.Floats((nint)rows * vocabulary);
                for (int v = 0; v < variants; v++)
                {
                    float* logits = dense;
                    if (v == 0 || states.Differs(v))
                    {
                        logits = v == 0 ? dense : pass.Memory.Logits.Floats((nint)rows * vocabulary);
                        fixed (float* x = states.Of(v, w).AsSpan(first * hidden, rows * hidden))
                            head.Forward(pass, Config, x, rows, logits);
                    }

                    observer(w, v, first, new ReadOnlySpan<float>(dense, rows * vocabulary), new ReadOnlySpan<float>(logits, rows * vocabulary));
                }
            }

            done(w);
        }
    }

    private float[] Embed(Embedding embedding, int[] ids)
    {
        float[] state = new float[Streams * ids.Length * Config.HiddenSize];
        fixed (float* x = state)
            embedding.Read(ids, x);
        return state;
    }

    private void Check(IReadOnlyList<int[]> windows, IReadOnlyList<DropPlan> variants)
    {
        if (windows.Count == 0)
            throw new ArgumentException("there is no window of text");
        foreach (int[] window in windows)
        {
            if (window.Length < 1 || window.Length > Config.MaxPositions)
                throw new ArgumentException($"a window has {window.Length} tokens, expected 1 to the model's context of {Config.MaxPositions}");
            if (window.FirstOrDefault(id => (uint)id >= (uint)Config.VocabSize) is var wrong && wrong != 0)
                throw new ArgumentException($"token id {wrong} is outside the vocabulary of {Config.VocabSize}");
        }

        if (variants.Count == 0 || !variants[0].Request.IsNone)
            throw new ArgumentException("the first drop plan drops something, expected one that drops nothing: the others are compared with it");
        long layer = groups.Max(group => Enumerable.Range(group.First, group.Count).Sum(l => MemoryNeed.LayerBytes(Config, options.Weights, l)));
        long states = windows.Sum(w => (long)w.Length) * Config.HiddenSize * sizeof(float) * variants.Count;
        MemoryBudget.Require(Math.Max(layer, MemoryNeed.HeadBytes(Config, options.Weights)) + states, $"{checkpoint.Folder}, layer by layer on {windows.Count} windows,");
    }
}

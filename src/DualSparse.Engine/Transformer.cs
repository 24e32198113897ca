using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Engine.Ranks;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine;

/// <summary>
/// A model's weights and the forward pass: embedding, <see cref="LayerProgram"/>, head. The weights never change; a text's state is its
/// <see cref="KvCache"/> and its <see cref="TextDrop"/>. One pass at a time: passes share scratch memory.
/// </summary>
internal sealed unsafe class Transformer : IDisposable
{
    private readonly Checkpoint checkpoint;
    private readonly Embedding embedding;
    private readonly LayerWeights[] layers;
    private readonly Operator[] program;
    private readonly ExpertSchedule? schedule;
    private readonly OutputHead head;
    private readonly VisionTower? tower;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly Pass pass;
    private readonly DropPlanner planner;
    private readonly TrunkCut cut;
    private readonly IPassLeader? leader;

    // The ids of a pass over one sequence: a chunk can't hold a span.
    private int[] single = [];

    /// <summary>Creates a model, which owns its parts.</summary>
    public Transformer(Checkpoint checkpoint, ThreadTeam team, Workspace work, ModelParts parts, DropPlanner planner, EngineOptions options, LoadReport report)
    {
        (this.checkpoint, this.team, this.work, this.planner) = (checkpoint, team, work, planner);
        (embedding, layers, head, tower) = parts;
        (cut, leader, BalanceSetting) = (options.Trunk, options.Peers?.Leader, options.Balance);
        (Drop, Report, SideBySide) = (planner.Plan(options.Drop), report, options.TrunkParts > 1 ? 1 : options.Ranks);
        pass = new Pass(checkpoint.Config, work, options.Peers?.Collective);
        program = LayerProgram.Of(checkpoint.Config);
        schedule = ExpertSchedule.Of(checkpoint.Config, options.Peers);
    }

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config => checkpoint.Config;

    /// <summary>The checkpoint's folder.</summary>
    public string Folder => checkpoint.Folder;

    /// <summary>The time and memory that loading took.</summary>
    public LoadReport Report { get; }

    /// <summary>What the checkpoint has that isn't followed, a sentence each.</summary>
    public IReadOnlyList<string> Notes => checkpoint.Notes;

    /// <summary>Each layer's weights.</summary>
    public IReadOnlyList<LayerWeights> Layers => layers;

    /// <summary>The default plan of a text: that of <see cref="EngineOptions.Drop"/>.</summary>
    public DropPlan Drop { get; }

    /// <summary>Loads a Hugging Face folder.</summary>
    /// <param name="folder">config.json, safetensors.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="progress">Receives the bytes read.</param>
    /// <param name="cancel">Cancels between two tensors.</param>
    /// <exception cref="ModelFormatException">The folder is damaged, not implemented, or larger than the memory that is free.</exception>
    /// <exception cref="ArgumentException">An option is out of its range or doesn't fit this model.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Transformer Load(string folder, EngineOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default) =>
        ModelLoader.Load(folder, options ?? new EngineOptions(), progress, cancel);

    /// <summary>An empty cache for a new sequence of at most <paramref name="capacity"/> tokens.</summary>
    /// <param name="capacity">The longest sequence, in tokens.</param>
    /// <param name="pool">Where its pages come from; null: from a pool of its own.</param>
    public KvCache NewCache(int capacity, PagePool? pool = null) => new(Config, Report.Weights, capacity, cut, pool);

    /// <summary>A pool of at most so many pages, for several sequences.</summary>
    public PagePool NewPool(int pages) => KvCache.Pool(Config, Report.Weights, cut, layers.Length, pages);

    /// <summary>Whether other processes run the same passes.</summary>
    public bool IsRanked => leader is not null;

    /// <inheritdoc cref="DropPlanner.Plan"/>
    public DropPlan Plan(DropRequest request, IReadOnlyList<Compensation?>? means = null) => planner.Plan(request, means);

    /// <summary>An empty text under a plan; null: <see cref="Drop"/>.</summary>
    public TextDrop NewText(DropPlan? plan = null) => new(plan ?? Drop, layers.Length) { Joined = leader is null ? null : leader.Joined };

    /// <summary>An empty text under the plan of a request.</summary>
    /// <inheritdoc cref="DropPlanner.Plan" path="/exception"/>
    public TextDrop NewText(DropRequest request) => NewText(Plan(request));

    /// <summary>What the model reads of a picture.</summary>
    /// <exception cref="ArgumentException">The model reads no pictures, or this isn't of its patches.</exception>
    public PictureRows Encode(PicturePatches picture) => tower?.Forward(work, picture)
        ?? throw new ArgumentException($"{Folder}: this model ({Config.ModelType}) reads text only, expected one with a vision tower for a picture");

    /// <summary>Runs the next tokens of one sequence.</summary>
    /// <returns>[rows, vocabulary], valid until the next call.</returns>
    /// <inheritdoc cref="Forward(ReadOnlySpan{SequenceChunk}, PassWatch?, CancellationToken)" path="/exception"/>
    public ReadOnlySpan<float> Forward(KvCache cache, ReadOnlySpan<int> ids, LogitRows logits = LogitRows.Last, TextDrop? drop = null, PassWatch? watch = null)
    {
        if (single.Length < ids.Length)
            single = new int[ids.Length];
        ids.CopyTo(single);
        return Forward([new SequenceChunk(cache, single.AsMemory(0, ids.Length), logits, Drop: drop)], watch);
    }

    /// <summary>Runs the next tokens of several sequences at once. A pass that fails leaves caches and texts as they were.</summary>
    /// <param name="batch">Each sequence and each text at most once.</param>
    /// <param name="watch">Observers, or null.</param>
    /// <param name="cancel">Cancels between two operators; with several ranks, before the pass.</param>
    /// <returns>[rows, vocabulary]: the first chunk's rows of logits, then the second's, …; valid until the next call.</returns>
    /// <exception cref="ArgumentException">
    /// An id is outside the vocabulary, a chunk doesn't fit its cache, a chunk is empty, a cache or a text is given twice, a text is
    /// another model's, or more logits are requested than an array holds.
    /// </exception>
    /// <exception cref="InsufficientMemoryException">Keys and values need more memory than is free.</exception>
    /// <exception cref="ModelFormatException">The checkpoint file, from which embeddings are read, has been truncated.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InvalidOperationException">With several ranks: an earlier pass has failed on this one, and the others are in the middle of it.</exception>
    public ReadOnlySpan<float> Forward(scoped ReadOnlySpan<SequenceChunk> batch, PassWatch? watch = null, CancellationToken cancel = default)
    {
        BatchCheck.Require(batch, Config);
        if (leader is not null)
        {
            cancel.ThrowIfCancellationRequested();
            return Lead(batch, watch);
        }

        KvCache.Reserve(batch);
        return Run(batch, watch, cancel);
    }

    // On the first of several ranks: all of them run the pass, or their own chunks of it. They can't be called back, so it runs to its end.
    private ReadOnlySpan<float> Lead(scoped ReadOnlySpan<SequenceChunk> batch, PassWatch? watch)
    {
        int[]? homes = leader!.Deal(batch);
        List<SequenceChunk> own = [];
        for (int i = 0; i < batch.Length; i++)
        {
            if (homes is null || homes[i] == 0)
                own.Add(batch[i]);
        }

        SequenceChunk[] here = [.. own];
        KvCache.Reserve(here);
        try
        {
            leader.Announce(batch, homes, Balanced);
            var logits = Run(here, watch, CancellationToken.None);
            return here.Length == batch.Length ? logits : leader.Gather(batch, homes!, logits, Config.VocabSize);
        }
        catch (Exception e)
        {
            leader.Fail(e);
            throw;
        }
    }

    private ReadOnlySpan<float> Run(scoped ReadOnlySpan<SequenceChunk> batch, PassWatch? watch, CancellationToken cancel)
    {
        pass.Begin(Segments(batch), watch);
        pass.IsBalanced = Balanced;
        Embed(batch, pass.Stream(0));
        pass.ReadPictures(0, pass.Stream(0));
        LayerProgram.Run(schedule?.Begin(pass) ?? program, l => layers[l], pass, cancel);
        schedule?.End(pass);
        int rows = KeepLogitRows(batch, pass.Stream(0));
        float* logits = pass.Memory.Logits.Floats((nint)rows * Config.VocabSize);
        if (rows > 0)
            head.Forward(pass, Config, pass.Stream(0), rows, logits);
        Commit(batch);
        return new ReadOnlySpan<float>(logits, checked(rows * Config.VocabSize));
    }

    /// <summary>[layers] the routed experts' work on a chunk of the last pass.</summary>
    internal ReadOnlySpan<DropCounts> Counts(int chunk) => pass.Counts(chunk);

    /// <summary>Whether the next passes balance loads, where <see cref="EngineOptions.Balance"/> asks for it: a run to compare with doesn't.</summary>
    internal bool Balanced { get; set; } = true;

    /// <summary>How loads are balanced between ranks; null: they aren't.</summary>
    internal BalanceSetting? BalanceSetting { get; }

    /// <summary>What balancing loads between ranks has come to, over all passes.</summary>
    internal BalanceTally Balance => pass.Balance;

    /// <summary>The sequences that one pass runs side by side, each on a rank of its own; 1: all ranks work on each.</summary>
    internal int SideBySide { get; }

    /// <summary>Frees weights, threads and scratch memory.</summary>
    public void Dispose()
    {
        foreach (var layer in layers)
            layer.Dispose();
        head.Dispose();
        tower?.Dispose();
        pass.Dispose();
        work.Dispose();
        team.Dispose();
        checkpoint.Dispose();
    }

    private static Segment[] Segments(ReadOnlySpan<SequenceChunk> batch)
    {
        var segments = new Segment[batch.Length];
        for (int i = 0, first = 0; i < batch.Length; first += batch[i++].Ids.Length)
        {
            var chunk = batch[i];
            chunk.Drop?.Begin();
            segments[i] = new Segment(chunk.Cache, first, chunk.Ids.Length, chunk.Generated, chunk.Appended, chunk.Drop, chunk.Marked, chunk.Pictures);
        }

        return segments;
    }

    private void Embed(ReadOnlySpan<SequenceChunk> batch, float* x)
    {
        foreach (var chunk in batch)
        {
            embedding.Read(chunk.Ids.Span, x);
            x += (nint)chunk.Ids.Length * Config.HiddenSize;
        }
    }

    // Moves the rows whose logits are requested to the front of x; returns their number.
    private int KeepLogitRows(ReadOnlySpan<SequenceChunk> batch, float* x)
    {
        int hidden = Config.HiddenSize, kept = 0, first = 0;
        foreach (var chunk in batch)
        {
            int count = chunk.LogitRowCount;
            var source = new ReadOnlySpan<float>(x + (nint)(first + chunk.Ids.Length - count) * hidden, count * hidden);
            source.CopyTo(new Span<float>(x + (nint)kept * hidden, count * hidden));
            kept += count;
            first += chunk.Ids.Length;
        }

        pass.Wrote(0);
        return kept;
    }

    // The pass has succeeded: caches and texts advance.
    private void Commit(ReadOnlySpan<SequenceChunk> batch)
    {
        for (int i = 0; i < batch.Length; i++)
        {
            batch[i].Cache.Advance(batch[i].Ids.Length);
            batch[i].Drop?.Commit(batch[i].Ids.Length, pass.Counts(i));
        }
    }
}

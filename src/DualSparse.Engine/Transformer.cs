using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Engine;

/// <summary>
/// THE forward pass, for every family: x = embedding; each layer x += attention(norm(x)), x += MoE(norm(x)); logits = head(norm(x)).
/// Not for concurrent use: one pass at a time.
/// </summary>
public sealed unsafe class Transformer : IDisposable
{
    private readonly Checkpoint checkpoint;
    private readonly TensorView embedding;
    private readonly TransformerLayer[] layers;
    private readonly OutputHead head;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly bool reordered;

    // The ids of a pass over one sequence: a span can't be part of a chunk.
    private int[] single = [];

    internal Transformer(
        Checkpoint checkpoint, ThreadTeam team, Workspace work, TensorView embedding, TransformerLayer[] layers, OutputHead head, LoadReport report, bool reordered)
    {
        (this.checkpoint, this.team, this.work) = (checkpoint, team, work);
        (this.embedding, this.layers, this.head, this.reordered) = (embedding, layers, head, reordered);
        Mlps = [.. layers.Select(l => l.Mlp)];
        Report = report;
    }

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config => checkpoint.Config;

    /// <summary>What loading took.</summary>
    public LoadReport Report { get; }

    /// <summary>Each layer's MLP, a mixture of experts or dense.</summary>
    public IReadOnlyList<MoeLayer> Mlps { get; }

    /// <summary>What the routed experts leave out, from the next pass on.</summary>
    /// <exception cref="ArgumentException">The rule makes no sense for this model.</exception>
    public DropRule Drop
    {
        get;
        set
        {
            value.Check(layers.Length, Config.Moe?.Experts ?? 0);
            value = DropProfile.Resolve(checkpoint.Folder, Config, value);
            value.Check(layers.Length, Config.Moe?.Experts ?? 0);
            bool compensates = value.Compensate || value.Generation is { Compensate: true };
            if (compensates)
                Compensations ??= CompensationFile.Read(checkpoint, reordered);
            field = value;
            for (int l = 0; l < layers.Length; l++)
            {
                int experts = layers[l].Mlp.Experts.Count;
                var mlp = layers[l].Mlp;
                mlp.Prompt = LayerRule.Of(value, l, experts);
                mlp.Generation = value.Generation is { } own ? LayerRule.Of(own, l, experts) : mlp.Prompt;
                mlp.Compensation = compensates ? Compensations![l] : null;
            }
        }
    } = DropRule.None;

    /// <summary>By layer, what dropped experts leave behind under <see cref="DropRule.Compensate"/>; null: what the checkpoint's folder has.</summary>
    public IReadOnlyList<Compensation?>? Compensations { get; set; }

    /// <summary>The routed experts' work since loading or <see cref="ResetCounts"/>; <see cref="MoeLayer.Counts"/> has each layer's.</summary>
    public DropCounts Counts => layers.Aggregate(default(DropCounts), (sum, layer) => sum + layer.Mlp.Counts);

    /// <summary>Starts counting afresh.</summary>
    public void ResetCounts()
    {
        foreach (var layer in layers)
            layer.Mlp.Counts = default;
    }

    /// <summary>Loads a Hugging Face folder.</summary>
    /// <param name="folder">config.json, safetensors.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="progress">Told as tensors are read.</param>
    /// <param name="cancel">Ends it between two tensors; nothing is left.</param>
    /// <exception cref="ModelFormatException">The folder is damaged, not implemented, or larger than the memory that is free.</exception>
    /// <exception cref="ArgumentException">An option makes no sense, at all or for this model.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Transformer Load(string folder, EngineOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default) =>
        ModelLoader.Load(folder, options ?? new EngineOptions(), progress, cancel);

    /// <summary>An empty cache for a new sequence of at most <paramref name="capacity"/> tokens.</summary>
    public KvCache NewCache(int capacity) => new(Config, Report.Weights, capacity);

    /// <summary>
    /// What has seen nothing yet of a text whose parts are several sequences, for their <see cref="KvCache.Follower"/>; null where
    /// <see cref="Drop"/> follows no rate.
    /// </summary>
    public RateFollower? NewFollower() => Drop.Follows is { } method ? new RateFollower(method) : null;

    /// <summary>Runs the next tokens of one sequence.</summary>
    /// <returns>[rows, vocabulary], valid until the next call.</returns>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or they don't fit the cache.</exception>
    /// <exception cref="InsufficientMemoryException">Keys and values need more memory than is free; the cache is as it was.</exception>
    /// <exception cref="ModelFormatException">The checkpoint, from which embeddings are read, has become shorter meanwhile.</exception>
    public ReadOnlySpan<float> Forward(KvCache cache, ReadOnlySpan<int> ids, LogitRows logits = LogitRows.Last)
    {
        if (single.Length < ids.Length)
            single = new int[ids.Length];
        ids.CopyTo(single);
        return Forward([new SequenceChunk(cache, single.AsMemory(0, ids.Length), logits)]);
    }

    /// <summary>Runs the next tokens of several sequences at once.</summary>
    /// <param name="batch">Each sequence at most once.</param>
    /// <returns>[rows, vocabulary]: the wanted rows of the first chunk, then the second's…; valid until the next call.</returns>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, a chunk doesn't fit its cache, or more logits are wanted than an array holds.</exception>
    /// <exception cref="InsufficientMemoryException">Keys and values need more memory than is free; the caches are as they were.</exception>
    /// <exception cref="ModelFormatException">The checkpoint, from which embeddings are read, has become shorter meanwhile.</exception>
    public ReadOnlySpan<float> Forward(scoped ReadOnlySpan<SequenceChunk> batch)
    {
        int tokens = Check(batch);
        KvCache.Reserve(batch);
        float* x = work.Floats("x", (nint)tokens * Config.HiddenSize);
        Embed(batch, x);
        var segments = Segments(batch);
        foreach (var layer in layers)
            layer.Forward(work, Config, segments, x, tokens);

        foreach (var chunk in batch)
            chunk.Cache.Advance(chunk.Ids.Length);
        int rows = KeepWanted(batch, x);
        if (rows == 0)
            return [];
        float* logits = work.Floats("logits", (nint)rows * Config.VocabSize);
        head.Forward(work, Config, x, rows, logits);
        return new ReadOnlySpan<float>(logits, checked(rows * Config.VocabSize));
    }

    /// <summary>Frees weights, threads and scratch memory.</summary>
    public void Dispose()
    {
        foreach (var layer in layers)
            layer.Dispose();
        head.Dispose();
        work.Dispose();
        team.Dispose();
        checkpoint.Dispose();
    }

    private int Check(ReadOnlySpan<SequenceChunk> batch)
    {
        int tokens = 0;
        long rows = 0;
        foreach (var chunk in batch)
        {
            if (chunk.Ids.Length == 0)
                throw new ArgumentException("a chunk without tokens");
            int room = chunk.Cache.Capacity - chunk.Cache.Length;
            if (chunk.Ids.Length > room)
                throw new ArgumentException($"{chunk.Ids.Length} more tokens don't fit a context of {chunk.Cache.Capacity}, of which {chunk.Cache.Length} are taken");
            foreach (int id in chunk.Ids.Span)
            {
                if ((uint)id >= (uint)Config.VocabSize)
                    throw new ArgumentException($"token id {id} is outside the vocabulary of {Config.VocabSize}");
            }

            tokens = checked(tokens + chunk.Ids.Length);
            rows += Wanted(chunk);
        }

        if (rows * Config.VocabSize > int.MaxValue)
            throw new ArgumentException($"{rows} rows of {Config.VocabSize} logits were asked for, expected at most {int.MaxValue / Config.VocabSize} at a time");

        return tokens;
    }

    private void Embed(ReadOnlySpan<SequenceChunk> batch, float* x)
    {
        int hidden = Config.HiddenSize;
        embedding.RequireWhole();
        foreach (var chunk in batch)
        {
            foreach (int id in chunk.Ids.Span)
            {
                embedding.ReadRow(id, new Span<float>(x, hidden));
                x += hidden;
            }
        }
    }

    private Segment[] Segments(ReadOnlySpan<SequenceChunk> batch)
    {
        var segments = new Segment[batch.Length];
        int first = 0;
        for (int i = 0; i < batch.Length; i++)
        {
            var cache = batch[i].Cache;
            if (Drop.Follows is { } method && cache.Follower?.Follows(method) != true)
                cache.Follower = new RateFollower(method);
            segments[i] = new Segment(cache, first, batch[i].Ids.Length, batch[i].Generated);
            first += batch[i].Ids.Length;
        }

        return segments;
    }

    private static int Wanted(in SequenceChunk chunk) => chunk.Logits switch { LogitRows.All => chunk.Ids.Length, LogitRows.Last => 1, _ => 0 };

    // Moves the rows whose logits are wanted to the front of x; returns how many.
    private int KeepWanted(ReadOnlySpan<SequenceChunk> batch, float* x)
    {
        int hidden = Config.HiddenSize, kept = 0, first = 0;
        foreach (var chunk in batch)
        {
            int wanted = Wanted(chunk);
            var source = new ReadOnlySpan<float>(x + (nint)(first + chunk.Ids.Length - wanted) * hidden, wanted * hidden);
            source.CopyTo(new Span<float>(x + (nint)kept * hidden, wanted * hidden));
            kept += wanted;
            first += chunk.Ids.Length;
        }

        return kept;
    }
}

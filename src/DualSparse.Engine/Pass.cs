using System.Numerics.Tensors;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Engine.Ranks;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Consecutive rows of one sequence in a pass.</summary>
/// <param name="Cache">The sequence; its length is the first row's position.</param>
/// <param name="First">The first row.</param>
/// <param name="Count">Rows.</param>
/// <param name="Generated">Whether the model generated the tokens.</param>
/// <param name="Appended">See <see cref="SequenceChunk.Appended"/>.</param>
/// <param name="Drop">The text's drop; null: nothing is dropped or counted.</param>
/// <param name="Marked">See <see cref="SequenceChunk.Marked"/>.</param>
/// <param name="Pictures">See <see cref="SequenceChunk.Pictures"/>.</param>
internal readonly record struct Segment(KvCache Cache, int First, int Count, bool Generated = false, Range? Appended = null, TextDrop? Drop = null, Range Marked = default, TextPictures? Pictures = null)
{
    /// <summary>Where a token is.</summary>
    /// <param name="index">Its index in the text.</param>
    public GridPlace Place(int index) => Pictures?.Place(index) ?? GridPlace.OfText(index);

    /// <summary>The parts of pictures among the rows; see <see cref="TextPictures.In"/>.</summary>
    public IEnumerable<(int Row, PictureRows Picture, int Token, int Count)> PictureParts => Pictures?.In(Cache.Length, Count) ?? [];
}

/// <summary>
/// The state of a forward pass: its rows' sequences, residual streams, scratch memory, open tickets and counts. Weights aren't part of it.
/// Passes may use it one after another.
/// </summary>
/// <param name="layers">The number of the model's layers.</param>
/// <param name="hidden">D, values of a row.</param>
/// <param name="epsilon">The norms' ε.</param>
/// <param name="work">Threads and kernels; not disposed.</param>
/// <param name="collective">What ranks do together; null: there is one, or all are this process.</param>
internal sealed unsafe class Pass(int layers, int hidden, float epsilon, Workspace work, ICollective? collective = null) : IDisposable
{
    private bool[] marks = [];
    private readonly bool[] streams = new bool[PassMemory.Streams];
    private DropCounts[] counts = [];
    private (int Stream, float[] Norm)? normalised;

    /// <summary>For a model's layers.</summary>
    public Pass(ModelConfig config, Workspace work, ICollective? collective = null)
        : this(config.Layers, config.HiddenSize, config.NormEpsilon, work, collective)
    {
    }

    /// <summary>What ranks with parts of these rows do together.</summary>
    public ICollective Collective { get; } = collective ?? LocalCollective.Instance;

    /// <summary>The operator that runs.</summary>
    public Operator Running { get; set; }

    /// <summary>Measures operators; null: nothing does.</summary>
    public OperatorClock? Clock { get; set; }

    /// <summary>Threads, kernels and scratch memory of products.</summary>
    public Workspace Work => work;

    /// <summary>D, values of a row.</summary>
    public int Hidden => hidden;

    /// <summary>The rows' sequences.</summary>
    public Segment[] Segments { get; private set; } = [];

    /// <summary>The number of rows, of all sequences together.</summary>
    public int Rows { get; private set; }

    /// <summary>[rows] whether each is marked; empty: none is.</summary>
    public ReadOnlySpan<bool> Marks => marks;

    /// <summary>Whether loads are balanced between ranks, where layers do so.</summary>
    public bool IsBalanced { get; set; } = true;

    /// <summary>What balancing has come to, over all passes since it was cleared.</summary>
    public BalanceTally Balance { get; } = new();

    /// <summary>Observers, or null.</summary>
    public PassWatch? Watch { get; private set; }

    /// <summary>The open tickets: layers whose rows are with their experts.</summary>
    public TicketPool Tickets { get; } = new();

    /// <summary>Scratch memory, by use.</summary>
    public PassMemory Memory { get; } = new();

    /// <summary>The list of an MLP that every row takes.</summary>
    public ExpertBatch EveryRow { get; } = new();

    /// <summary>Starts a pass; the state of the previous one is discarded.</summary>
    /// <param name="segments">The sequences, their rows one after another.</param>
    /// <param name="watch">Observers, or null.</param>
    public void Begin(Segment[] segments, PassWatch? watch)
    {
        (Segments, Watch, Rows) = (segments, watch, segments.Sum(s => s.Count));
        Tickets.CloseAll();
        Mark();
        normalised = null;
        if (counts.Length < layers * segments.Length)
            counts = new DropCounts[layers * segments.Length];
        Array.Clear(counts);
        Array.Clear(streams);
    }

    /// <summary>[rows, hidden] f32: a residual stream; undefined until it is written.</summary>
    public float* Stream(int stream)
    {
        if (streams[stream])
            return Memory.Residual[stream].Current;
        streams[stream] = true;
        return Memory.Residual[stream].Floats((nint)Rows * Hidden);
    }

    /// <summary>Marks a stream as changed.</summary>
    public void Wrote(int stream)
    {
        if (normalised?.Stream == stream)
            normalised = null;
    }

    /// <summary>
    /// [rows, hidden] f32: a residual stream after a norm, valid until the next call; computed once while the stream doesn't change.
    /// </summary>
    public float* Normalised(int stream, float[] norm)
    {
        if (normalised is { } last && last.Stream == stream && last.Norm == norm)
            return Memory.Normalised.Current;
        float* normed = Memory.Normalised.Floats((nint)Rows * Hidden);
        RmsNorm.Forward(work.Team, Stream(stream), Rows, Hidden, norm, epsilon, normed, Hidden);
        normalised = (stream, norm);
        return normed;
    }

    private void Mark()
    {
        marks = [];
        foreach (var segment in Segments)
        {
            var (first, count) = segment.Marked.GetOffsetAndLength(segment.Count);
            Mark(segment.First + first, count);
            foreach (var part in segment.PictureParts)
                Mark(segment.First + part.Row, part.Count);
        }

        void Mark(int first, int count)
        {
            if (count == 0)
                return;
            if (marks.Length == 0)
                marks = new bool[Rows];
            marks.AsSpan(first, count).Fill(true);
        }
    }

    /// <summary>Reads a level of the pictures' rows into a residual stream: in the place of their tokens' embeddings, or added to them.</summary>
    /// <param name="level">0: in their place; others are added.</param>
    /// <param name="stream">[rows, hidden] f32.</param>
    public void ReadPictures(int level, float* stream)
    {
        foreach (var segment in Segments)
        {
            foreach (var (row, picture, token, count) in segment.PictureParts)
            {
                var target = new Span<float>(stream + (nint)(segment.First + row) * Hidden, count * Hidden);
                var source = picture.Levels[level].AsSpan(token * Hidden, target.Length);
                if (level == 0)
                    source.CopyTo(target);
                else
                    TensorPrimitives.Add(target, source, target);
            }
        }
    }

    /// <summary>Counts the routed experts' work of a layer on a segment.</summary>
    public void Count(int layer, int segment, DropCounts work) => counts[segment * layers + layer] += work;

    /// <summary>[layers] the routed experts' work on a segment.</summary>
    public ReadOnlySpan<DropCounts> Counts(int segment) => counts.AsSpan(segment * layers, layers);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        Tickets.Dispose();
        Memory.Dispose();
    }
}

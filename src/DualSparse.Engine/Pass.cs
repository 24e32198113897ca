using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Ops;
using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>Some rows of a pass that follow one another in one sequence.</summary>
/// <param name="Cache">The sequence; its length is the first row's position.</param>
/// <param name="First">The first row.</param>
/// <param name="Count">Rows.</param>
/// <param name="Generated">Whether the model chose the tokens itself.</param>
/// <param name="Appended">See <see cref="SequenceChunk.Appended"/>.</param>
/// <param name="Drop">What is left out of the text; null: nothing, and nothing is counted.</param>
internal readonly record struct Segment(KvCache Cache, int First, int Count, bool Generated = false, Range? Appended = null, TextDrop? Drop = null);

/// <summary>
/// Rows on their way through the layers, and everything that changes meanwhile: their sequences, residual streams, scratch memory, open
/// tickets and counts. The weights know nothing of it. One after another may use its memory.
/// </summary>
/// <param name="layers">The model's layers.</param>
/// <param name="hidden">D, values of a row.</param>
/// <param name="epsilon">The norms' ε.</param>
/// <param name="work">Threads and kernels; stays its owner's.</param>
internal sealed unsafe class Pass(int layers, int hidden, float epsilon, Workspace work) : IDisposable
{
    private readonly bool[] streams = new bool[PassMemory.Streams];
    private DropCounts[] counts = [];
    private (int Stream, float[] Norm)? normalised;

    /// <summary>For a model's layers.</summary>
    public Pass(ModelConfig config, Workspace work)
        : this(config.Layers, config.HiddenSize, config.NormEpsilon, work)
    {
    }

    /// <summary>Threads, kernels, and what products need.</summary>
    public Workspace Work => work;

    /// <summary>D, values of a row.</summary>
    public int Hidden => hidden;

    /// <summary>The rows' sequences.</summary>
    public Segment[] Segments { get; private set; } = [];

    /// <summary>Rows, of all sequences together.</summary>
    public int Rows { get; private set; }

    /// <summary>Who looks on; null: nobody.</summary>
    public PassWatch? Watch { get; private set; }

    /// <summary>Layers whose rows are with their experts.</summary>
    public TicketPool Tickets { get; } = new();

    /// <summary>Scratch memory, by use.</summary>
    public PassMemory Memory { get; } = new();

    /// <summary>The list of an MLP that every row takes.</summary>
    public ExpertBatch EveryRow { get; } = new();

    /// <summary>Starts: whatever a pass before has left is forgotten.</summary>
    /// <param name="segments">The sequences, their rows one after another.</param>
    /// <param name="watch">Who looks on.</param>
    public void Begin(Segment[] segments, PassWatch? watch)
    {
        (Segments, Watch, Rows) = (segments, watch, segments.Sum(s => s.Count));
        Tickets.CloseAll();
        normalised = null;
        if (counts.Length < layers * segments.Length)
            counts = new DropCounts[layers * segments.Length];
        Array.Clear(counts);
        Array.Clear(streams);
    }

    /// <summary>[rows, hidden] f32: a residual stream; undefined until something is put there.</summary>
    public float* Stream(int stream)
    {
        if (streams[stream])
            return Memory.Residual[stream].Current;
        streams[stream] = true;
        return Memory.Residual[stream].Floats((nint)Rows * Hidden);
    }

    /// <summary>Says that a stream has changed.</summary>
    public void Wrote(int stream)
    {
        if (normalised?.Stream == stream)
            normalised = null;
    }

    /// <summary>[rows, hidden] f32: a residual stream after a norm, valid until the next; made once while the stream stays as it is.</summary>
    public float* Normalised(int stream, float[] norm)
    {
        if (normalised is { } last && last.Stream == stream && last.Norm == norm)
            return Memory.Normalised.Current;
        float* normed = Memory.Normalised.Floats((nint)Rows * Hidden);
        RmsNorm.Forward(work.Team, Stream(stream), Rows, Hidden, norm, epsilon, normed, Hidden);
        normalised = (stream, norm);
        return normed;
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

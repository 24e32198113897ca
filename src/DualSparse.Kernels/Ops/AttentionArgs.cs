namespace DualSparse.Kernels.Ops;

/// <summary>What all segments of one attention call share.</summary>
/// <param name="Heads">Query heads, a multiple of the key-value heads; heads that share one are neighbours.</param>
/// <param name="Cache">Where keys and values lie.</param>
/// <param name="Scale">Multiplies the products of queries and keys.</param>
/// <param name="Window">Positions that a query sees, its own included; null: all up to its own.</param>
/// <param name="Causal">Whether a query sees none behind its own; otherwise it sees all of its segment, and there is no window.</param>
internal readonly record struct AttentionShape(int Heads, KvLayout Cache, float Scale, int? Window = null, bool Causal = true)
{
    /// <summary>Query heads that share one key-value head.</summary>
    public int Group => Heads / Cache.Heads;
}

/// <summary>Consecutive positions of one sequence: their queries, and the sequence's keys and values, theirs included.</summary>
internal unsafe struct AttentionSegment
{
    /// <summary>[count, heads · key size] f32.</summary>
    public float* Queries;

    /// <summary>Floats from one position's queries to the next's.</summary>
    public nint QueryStride;

    /// <summary>[count, heads · value size] f32, overwritten.</summary>
    public float* Output;

    /// <summary>Floats from one position's output to the next's.</summary>
    public nint OutputStride;

    /// <summary>The pages that hold positions 0…<see cref="First"/> + <see cref="Count"/> − 1, in order.</summary>
    public byte** Pages;

    /// <summary>The first query's position.</summary>
    public int First;

    /// <summary>Queries.</summary>
    public int Count;
}

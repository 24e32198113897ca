using System.Runtime.CompilerServices;

namespace DualSparse.Models.Text;

/// <summary>The merges of a byte-pair encoding: which pairs of ids join, in which order of preference, to which id.</summary>
internal sealed class MergeTable
{
    /// <summary>The rank of a pair that doesn't merge: worse than every other.</summary>
    public const int NoMerge = int.MaxValue;

    private readonly Dictionary<ulong, int> _ranks = [];
    private readonly List<int> _merged = [];

    /// <summary>Adds the next merge, of rank <see cref="Count"/>; a pair given twice keeps the later rank.</summary>
    public void Add(int left, int right, int merged)
    {
        _ranks[Key(left, right)] = _merged.Count;
        _merged.Add(merged);
    }

    /// <summary>Makes room for so many merges.</summary>
    public void EnsureCapacity(int count)
    {
        _ranks.EnsureCapacity(count);
        _merged.EnsureCapacity(count);
    }

    /// <summary>How many merges were added.</summary>
    public int Count => _merged.Count;

    /// <summary>The rank of the pair (lower merges first), or <see cref="NoMerge"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Rank(int left, int right) => _ranks.TryGetValue(Key(left, right), out int rank) ? rank : NoMerge;

    /// <summary>The id that the merge of this rank gives.</summary>
    public int Merged(int rank) => _merged[rank];

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}

using System.Runtime.CompilerServices;

namespace DualSparse.Models.Text;

/// <summary>The merges of a byte-pair encoding: which pairs of ids join, in which order of preference, to which id.</summary>
internal sealed class MergeTable
{
    /// <summary>The rank of a pair that doesn't merge: worse than every other.</summary>
    public const int NoMerge = int.MaxValue;

    // A slot holds a pair and one past its rank; 0: it is empty.
    private (ulong Pair, int Place)[] slots = new (ulong, int)[TokenHash.Slots(0)];
    private int[] merged = new int[8];
    private int pairs;

    /// <summary>How many merges were added.</summary>
    public int Count { get; private set; }

    /// <summary>Adds the next merge, of rank <see cref="Count"/>; a pair given twice keeps the later rank.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(int left, int right, int merged)
    {
        if (2 * pairs >= slots.Length || Count == this.merged.Length)
        {
            EnsureCapacity(2 * Count);
        }

        this.merged[Count++] = merged;
        ref var slot = ref slots[Find(Pair(left, right))];
        pairs += slot.Place == 0 ? 1 : 0;
        slot = (Pair(left, right), Count);
    }

    /// <summary>Makes room for so many merges.</summary>
    public void EnsureCapacity(int count)
    {
        if (count > merged.Length)
        {
            Array.Resize(ref merged, count);
        }

        int needed = TokenHash.Slots(count);
        if (needed <= slots.Length)
        {
            return;
        }

        var old = slots;
        slots = new (ulong, int)[needed];
        foreach (var taken in old)
        {
            if (taken.Place != 0)
            {
                slots[Find(taken.Pair)] = taken;
            }
        }
    }

    /// <summary>The rank of the pair (lower merges first), or <see cref="NoMerge"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Rank(int left, int right) => slots[Find(Pair(left, right))].Place is int place and > 0 ? place - 1 : NoMerge;

    /// <summary>The id that the merge of this rank gives.</summary>
    public int Merged(int rank) => merged[rank];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Find(ulong pair)
    {
        var slots = this.slots;
        int mask = slots.Length - 1;
        int slot = (int)TokenHash.Of(pair) & mask;
        while (slots[slot].Place != 0 && slots[slot].Pair != pair)
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}

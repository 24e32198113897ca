using System.Runtime.CompilerServices;
using System.Text;

namespace DualSparse.Models.Text;

/// <summary>
/// Tokens and their ids, both ways. Ids need not be dense. The tokens' UTF-8 lies end to end in one array, in the order in which they came;
/// strings are made when somebody asks for one.
/// </summary>
internal sealed class Vocabulary
{
    /// <summary>One past the highest id taken: sixteen times the largest vocabulary of today, and 16 MiB to find tokens by id.</summary>
    public const int MaxIds = 1 << 22;

    // A slot holds one past an entry's number in its low bits and, above, bits of the token's hash that tell most others apart.
    private const int EntryBits = 23;
    private const uint EntryMask = (1u << EntryBits) - 1;

    private byte[] text;
    private (int Start, int Id)[] entries;
    private int[] entryOf = new int[256];
    private uint[] slots;

    /// <summary>Makes an empty vocabulary with room for <paramref name="capacity"/> tokens.</summary>
    public Vocabulary(int capacity)
    {
        capacity = Math.Clamp(capacity, 16, MaxIds);
        slots = new uint[TokenHash.Slots(capacity)];
        entries = new (int, int)[slots.Length / 2 + 1];
        text = new byte[8 * capacity]; // tokens are six to seven bytes long
    }

    /// <summary>How many tokens there are.</summary>
    public int Count { get; private set; }

    /// <summary>One past the highest id.</summary>
    public int Size { get; private set; }

    /// <summary>Adds a token; false where the token or the id is there already.</summary>
    public bool TryAdd(string token, int id) => TryAdd(Encoding.UTF8.GetBytes(token), id);

    /// <summary>Adds a token, given in UTF-8; false where the token or the id is there already.</summary>
    // Called for every token of a file before tiered compilation would wake up.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryAdd(ReadOnlySpan<byte> token, int id)
    {
        if (2 * Count >= slots.Length)
        {
            Grow();
        }

        ulong hash = TokenHash.Of(token);
        int slot = Find(token, hash);
        if (slots[slot] != 0 || ((uint)id < (uint)entryOf.Length && entryOf[id] != 0))
        {
            return false;
        }

        if (id >= entryOf.Length)
        {
            Array.Resize(ref entryOf, Math.Min(MaxIds, Math.Max(id + 1, entryOf.Length * 2)));
        }

        int start = entries[Count].Start;
        if (text.Length - start < token.Length)
        {
            Array.Resize(ref text, Math.Max(text.Length * 2, start + token.Length));
        }

        token.CopyTo(text.AsSpan(start));
        entries[Count++].Id = id;
        entries[Count].Start = start + token.Length;
        entryOf[id] = Count;
        slots[slot] = Slot(hash, Count);
        Size = Math.Max(Size, id + 1);
        return true;
    }

    /// <summary>The token of <paramref name="id"/>; null where no token has this id.</summary>
    public string? Token(int id) => Entry(id) is int entry and >= 0 ? Encoding.UTF8.GetString(Utf8(entry)) : null;

    /// <summary>The number of the entry that has this id, 0 to <see cref="Count"/> - 1; -1 where none has.</summary>
    public int Entry(int id) => (uint)id < (uint)entryOf.Length ? entryOf[id] - 1 : -1;

    /// <summary>The id of <paramref name="token"/>, or -1. An unpaired surrogate counts as U+FFFD.</summary>
    public int Id(ReadOnlySpan<char> token)
    {
        Span<byte> utf8 = token.Length <= 128 ? stackalloc byte[3 * 128] : new byte[Encoding.UTF8.GetMaxByteCount(token.Length)];
        return Id(utf8[..Encoding.UTF8.GetBytes(token, utf8)]);
    }

    /// <summary>The id of a token given in UTF-8, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Id(ReadOnlySpan<byte> token)
    {
        uint found = slots[Find(token, TokenHash.Of(token))] & EntryMask;
        return found == 0 ? -1 : entries[(int)found - 1].Id;
    }

    /// <summary>The entries' UTF-8 by number, 0 to <see cref="Count"/> - 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ReadOnlySpan<byte> Utf8(int entry)
    {
        int start = entries[entry].Start;
        return text.AsSpan(start, entries[entry + 1].Start - start);
    }

    /// <summary>An entry's id.</summary>
    public int IdOf(int entry) => entries[entry].Id;

    // The slot of the token, or the empty one where it would go.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Find(ReadOnlySpan<byte> token, ulong hash)
    {
        int mask = slots.Length - 1;
        uint tag = Slot(hash, 0);
        int slot = (int)hash & mask;
        while (slots[slot] is uint taken and not 0 && ((taken & ~EntryMask) != tag || !Utf8((int)(taken & EntryMask) - 1).SequenceEqual(token)))
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Slot(ulong hash, int entry) => ((uint)(hash >> 32) & ~EntryMask) | (uint)entry;

    private void Grow()
    {
        slots = new uint[2 * slots.Length];
        Array.Resize(ref entries, slots.Length / 2 + 1);
        for (int entry = 0; entry < Count; entry++)
        {
            ulong hash = TokenHash.Of(Utf8(entry));
            slots[Find(Utf8(entry), hash)] = Slot(hash, entry + 1);
        }
    }
}

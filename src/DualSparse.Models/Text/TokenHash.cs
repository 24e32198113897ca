using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace DualSparse.Models.Text;

/// <summary>
/// The hash of the tables of tokens and merges: both halves of a 128-bit product, folded. It is seeded afresh in each process, so that no
/// file can be made whose entries all meet.
/// </summary>
internal static class TokenHash
{
    // 2^64 divided by the golden ratio: odd, its bits without a pattern.
    private const ulong Factor = 0x9E3779B97F4A7C15;

    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    /// <summary>The slots of a table for <paramref name="entries"/> entries: a power of two, and at most half of it is taken.</summary>
    public static int Slots(int entries) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, 2 * entries));

    /// <summary>The hash of one number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ulong value)
    {
        ulong high = Math.BigMul(value ^ Seed, Factor, out ulong low);
        return high ^ low;
    }

    /// <summary>The hash of a text's bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ReadOnlySpan<byte> text)
    {
        ulong hash = (ulong)text.Length;
        while (text.Length >= sizeof(ulong))
        {
            hash = Of(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(text));
            text = text[sizeof(ulong)..];
        }

        ulong rest = 0;
        for (int i = 0; i < text.Length; i++)
        {
            rest = (rest << 8) | text[i];
        }

        return Of(hash ^ rest);
    }
}

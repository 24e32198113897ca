using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Ops;

/// <summary>The k largest of some scores.</summary>
internal static class TopK
{
    /// <summary>
    /// Chooses as many as there is room for, largest first; of equal scores the lower index comes first. NaN counts as larger than
    /// every number. For a small k: the time grows with n, and with k times the scores that are ever among the k best so far.
    /// </summary>
    /// <param name="scores">[n].</param>
    /// <param name="indices">[k], overwritten, k ≤ n.</param>
    /// <param name="values">[k], overwritten: the scores chosen; must not overlap <paramref name="scores"/>.</param>
    /// <exception cref="ArgumentException">k exceeds n, or the results' lengths differ.</exception>
    public static void Select(ReadOnlySpan<float> scores, Span<int> indices, Span<float> values)
    {
        int k = indices.Length;
        if (k > scores.Length || values.Length != k)
            throw new ArgumentException($"expected at most {scores.Length} indices and as many values, found {k} and {values.Length}");
        if (k == 0)
            return;
        // Scores below the floor can't be chosen: most vectors hold nothing else. It rises to the last score chosen so far.
        var floor = Vector256.Create(Floor(scores, k));
        ref float first = ref MemoryMarshal.GetReference(scores);
        int found = 0, next = 0;
        for (; next + Vector256<float>.Count <= scores.Length; next += Vector256<float>.Count)
        {
            // The lanes that aren't below: NaN, of a score or of the floor, counts as none.
            uint lanes = (~Vector256.LessThan(Vector256.LoadUnsafe(ref first, (nuint)next), floor)).ExtractMostSignificantBits();
            if (lanes == 0)
                continue;
            for (; lanes != 0; lanes &= lanes - 1)
            {
                int i = next + BitOperations.TrailingZeroCount(lanes);
                found = Offer(scores[i], i, indices, values, found);
            }

            if (found == k)
                floor = Vector256.Create(values[k - 1]);
        }

        for (; next < scores.Length; next++)
            found = Offer(scores[next], next, indices, values, found);
    }

    // A score that k others reach: of 16 disjoint sets' largest, the k-th. NaN if there is one among them; −∞ if it isn't worth it.
    private static float Floor(ReadOnlySpan<float> scores, int k)
    {
        const int sets = 16;
        int width = Vector256<float>.Count;
        if (k > sets || scores.Length < 4 * sets)
            return float.NegativeInfinity;
        ref float first = ref MemoryMarshal.GetReference(scores);
        var (low, high) = (Vector256.LoadUnsafe(ref first), Vector256.LoadUnsafe(ref first, (nuint)width));
        for (int i = sets; i + sets <= scores.Length; i += sets)
        {
            low = Vector256.Max(low, Vector256.LoadUnsafe(ref first, (nuint)i));
            high = Vector256.Max(high, Vector256.LoadUnsafe(ref first, (nuint)(i + width)));
        }

        float floor = float.PositiveInfinity;
        for (int i = 0; i < sets; i++)
        {
            float largest = i < width ? low[i] : high[i - width];
            var limit = Vector256.Create(largest);
            int ahead = BitOperations.PopCount(Vector256.GreaterThan(low, limit).ExtractMostSignificantBits())
                + BitOperations.PopCount(Vector256.GreaterThan(high, limit).ExtractMostSignificantBits());
            if (ahead < k)
                floor = MathF.Min(floor, largest);
        }

        return floor;
    }

    // Insertion into a short sorted list; returns its length.
    private static int Offer(float score, int index, Span<int> indices, Span<float> values, int found)
    {
        int place = found;
        if (found < values.Length)
            found++;
        else if (Precedes(score, values[found - 1]))
            place--;
        else
            return found;
        for (; place > 0 && Precedes(score, values[place - 1]); place--)
            (values[place], indices[place]) = (values[place - 1], indices[place - 1]);
        (values[place], indices[place]) = (score, index);
        return found;
    }

    private static bool Precedes(float a, float b) => a > b || (float.IsNaN(a) && !float.IsNaN(b));
}

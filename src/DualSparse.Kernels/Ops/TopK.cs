using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Ops;

/// <summary>The k largest of some scores.</summary>
internal static class TopK
{
    /// <summary>
    /// Chooses the k largest scores, largest first; of equal scores the lower index comes first. NaN counts as larger than
    /// every number. Meant for a small k: the time is O(n), plus O(k) for each score that is among the k best when it is read.
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
        // Scores below this bound can't be chosen: most vectors hold no others. The bound rises to the k-th best score so far.
        var bound = Vector256.Create(LowerBound(scores, k));
        ref float first = ref MemoryMarshal.GetReference(scores);
        int found = 0, next = 0;
        for (; next + Vector256<float>.Count <= scores.Length; next += Vector256<float>.Count)
        {
            // The lanes that aren't below it; a NaN, of a score or the bound, isn't below.
            uint lanes = (~Vector256.LessThan(Vector256.LoadUnsafe(ref first, (nuint)next), bound)).ExtractMostSignificantBits();
            if (lanes == 0)
                continue;
            for (; lanes != 0; lanes &= lanes - 1)
            {
                int i = next + BitOperations.TrailingZeroCount(lanes);
                found = Insert(scores[i], i, indices, values, found);
            }

            if (found == k)
                bound = Vector256.Create(values[k - 1]);
        }

        for (; next < scores.Length; next++)
            found = Insert(scores[next], next, indices, values, found);
    }

    // A score that at least k scores reach: the k-th of the largest of 16 disjoint sets. NaN if one of these is NaN; −∞ for few scores or a large k.
    private static float LowerBound(ReadOnlySpan<float> scores, int k)
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

        float least = float.PositiveInfinity;
        for (int i = 0; i < sets; i++)
        {
            float largest = i < width ? low[i] : high[i - width];
            var limit = Vector256.Create(largest);
            int ahead = BitOperations.PopCount(Vector256.GreaterThan(low, limit).ExtractMostSignificantBits())
                + BitOperations.PopCount(Vector256.GreaterThan(high, limit).ExtractMostSignificantBits());
            if (ahead < k)
                least = MathF.Min(least, largest);
        }

        return least;
    }

    // Insertion into a short sorted list; returns its length.
    private static int Insert(float score, int index, Span<int> indices, Span<float> values, int found)
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

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
        // A short sorted list, into which a score is inserted that precedes its last.
        for (int i = 0; i < k; i++)
            Insert(scores[i], i, indices[..(i + 1)], values[..(i + 1)]);
        int next = k;
        ref float first = ref MemoryMarshal.GetReference(scores);
        for (; next + Vector256<float>.Count <= scores.Length; next += Vector256<float>.Count)
        {
            // The lanes that aren't at most the last score: greater or NaN. Mostly none.
            var lanes = Vector256.LoadUnsafe(ref first, (nuint)next);
            uint ahead = (~Vector256.LessThanOrEqual(lanes, Vector256.Create(values[k - 1]))).ExtractMostSignificantBits();
            for (; ahead != 0; ahead &= ahead - 1)
            {
                int i = next + BitOperations.TrailingZeroCount(ahead);
                if (Precedes(scores[i], values[k - 1]))
                    Insert(scores[i], i, indices, values);
            }
        }

        for (; next < scores.Length; next++)
        {
            if (Precedes(scores[next], values[k - 1]))
                Insert(scores[next], next, indices, values);
        }
    }

    // The last place is free, or its score falls out.
    private static void Insert(float score, int index, Span<int> indices, Span<float> values)
    {
        int place = values.Length - 1;
        for (; place > 0 && Precedes(score, values[place - 1]); place--)
            (values[place], indices[place]) = (values[place - 1], indices[place - 1]);
        (values[place], indices[place]) = (score, index);
    }

    private static bool Precedes(float a, float b) => a > b || (float.IsNaN(a) && !float.IsNaN(b));
}

namespace DualSparse.Kernels.Ops;

/// <summary>The k largest of some scores.</summary>
internal static class TopK
{
    /// <summary>
    /// Chooses as many as there is room for, largest first; of equal scores the lower index comes first. NaN counts as larger than
    /// every number.
    /// </summary>
    /// <param name="scores">[n].</param>
    /// <param name="indices">[k], overwritten, k ≤ n.</param>
    /// <param name="values">[k], overwritten: the scores chosen.</param>
    /// <exception cref="ArgumentException">k exceeds n, or the results' lengths differ.</exception>
    public static void Select(ReadOnlySpan<float> scores, Span<int> indices, Span<float> values)
    {
        int k = indices.Length;
        if (k > scores.Length || values.Length != k)
            throw new ArgumentException($"expected at most {scores.Length} indices and as many values, found {k} and {values.Length}");
        if (k == 0)
            return;
        // Insertion into a short sorted list: most scores fail the first comparison.
        int found = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            float score = scores[i];
            if (found == k && !Precedes(score, values[k - 1]))
                continue;
            int place = found == k ? k - 1 : found++;
            for (; place > 0 && Precedes(score, values[place - 1]); place--)
                (values[place], indices[place]) = (values[place - 1], indices[place - 1]);
            (values[place], indices[place]) = (score, i);
        }
    }

    private static bool Precedes(float a, float b) => a > b || (float.IsNaN(a) && !float.IsNaN(b));
}

namespace DualSparse.Sparsify;

/// <summary>The order of an expert's neurons, the most important first; the first ⌈F/2⌉ are the major half.</summary>
internal static class NeuronOrder
{
    /// <summary>A stable descending sort.</summary>
    /// <returns>The neuron at each position.</returns>
    public static int[] Descending(ReadOnlySpan<double> importance)
    {
        double[] values = importance.ToArray();
        return [.. Enumerable.Range(0, values.Length).OrderByDescending(n => values[n])];
    }
}

using System.Numerics.Tensors;
using DualSparse.Engine;

namespace DualSparse.LlamaCpp;

/// <summary>How near two engines' logits are after the same tokens.</summary>
/// <param name="Error">The error's RMS over the logits' standard deviation.</param>
/// <param name="SameToken">The share of positions with the same most probable token.</param>
internal readonly record struct Agreement(double Error, double SameToken)
{
    /// <summary>
    /// The largest error of two engines that compute the same: activations, keys and values are rounded differently by them. Another
    /// position code, normalisation or order of experts gives errors near 1.
    /// </summary>
    public const double Tolerance = 0.1;

    /// <summary>Compares by several texts of different ids at once: a prompt in one pass, then token by token.</summary>
    public static Agreement Of(ITexts ours, ITexts theirs, int[][] ids, int prompt, int vocabulary)
    {
        double error = 0, variance = 0;
        long same = 0, positions = 0;
        ours.Clear();
        theirs.Clear();
        for (int first = 0, count = prompt; first < ids[0].Length; first += count, count = 1)
        {
            var chunks = ids.Select(own => (ReadOnlyMemory<int>)own.AsMemory(first, count)).ToArray();
            ReadOnlySpan<float> a = ours.Append(chunks, LogitRows.All), b = theirs.Append(chunks, LogitRows.All);
            for (int row = 0; row < ids.Length * count; row++, positions++)
            {
                ReadOnlySpan<float> x = a.Slice(row * vocabulary, vocabulary), y = b.Slice(row * vocabulary, vocabulary);
                double distance = TensorPrimitives.Distance(x, y), spread = TensorPrimitives.StdDev(x);
                error += distance * distance / vocabulary;
                variance += spread * spread;
                // Random weights repeat, so that several tokens can be exactly the most probable.
                same += x[TensorPrimitives.IndexOfMax(y)] == TensorPrimitives.Max(x) ? 1 : 0;
            }
        }

        return new Agreement(Math.Sqrt(error / variance), (double)same / positions);
    }
}

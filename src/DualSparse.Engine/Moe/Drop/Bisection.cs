using System.Numerics;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>Halves an interval to where a condition changes: how thresholds are found for a rate, and rates for a slope of loss.</summary>
internal static class Bisection
{
    /// <summary>Narrows an interval.</summary>
    /// <param name="low">Where the condition holds, or what is as good.</param>
    /// <param name="high">Where it doesn't.</param>
    /// <param name="steps">Halvings.</param>
    /// <param name="below">The condition: it holds up to some point and not beyond.</param>
    /// <returns>The last point known where it holds, and the first where it doesn't.</returns>
    public static (T Low, T High) Find<T>(T low, T high, int steps, Predicate<T> below)
        where T : IFloatingPointIeee754<T>
    {
        var two = T.One + T.One;
        for (int i = 0; i < steps; i++)
        {
            var middle = (low + high) / two;
            if (below(middle))
                low = middle;
            else
                high = middle;
        }

        return (low, high);
    }
}

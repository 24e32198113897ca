using System.Numerics;

namespace DualSparse.Engine.Moe.Drop;

/// <summary>Finds where a condition changes by halving an interval: used for thresholds of a rate and rates of a slope of the loss.</summary>
internal static class Bisection
{
    /// <summary>Narrows an interval.</summary>
    /// <param name="low">A point where the condition holds, or is taken to hold.</param>
    /// <param name="high">A point where it doesn't.</param>
    /// <param name="steps">The number of halvings.</param>
    /// <param name="below">The condition: it holds up to some point and not after it.</param>
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

using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Evaluation.Sweep;

/// <summary>Finds the dial of a method at which the drop rate counted on a text is the target.</summary>
internal static class RateFinder
{
    // Half of the tenth of a point that comparisons at equal drop allow.
    private const double Near = 0.0005;

    // Each try corrects the previous one's error; the second or third is close enough unless the rate changes in steps.
    private const int Tries = 5;

    /// <summary>The rule whose measured rate is closest.</summary>
    /// <param name="model">The model, its neurons in the method's order.</param>
    /// <param name="text">The text.</param>
    /// <param name="plans">The text's routing without a drop.</param>
    /// <param name="method">The method.</param>
    /// <param name="rate">The target drop rate.</param>
    /// <param name="cancellation">Checked between windows.</param>
    public static DropRequest Find(Transformer model, TextWindows text, GatingPlans plans, SweepMethod method, double rate, CancellationToken cancellation)
    {
        var best = DropRequest.None;
        double error = double.PositiveInfinity, aim = rate, before = double.NaN;
        for (int i = 0; i < Tries && error > Near; i++)
        {
            double dial = Dial(plans, method, aim);
            if (dial == before)
                break;
            before = dial;
            var rule = method.At(plans, dial);
            double measured = Measure(model, text, rule, cancellation);
            if (Math.Abs(measured - rate) < error)
                (best, error) = (rule, Math.Abs(measured - rate));
            aim += rate - measured;
        }

        return best;
    }

    // The dial whose rate over the plans is closest.
    private static double Dial(GatingPlans plans, SweepMethod method, double rate)
    {
        // To a billionth, finer than a threshold in f32; the rate changes in steps.
        var (low, high) = Bisection.Find(0.0, 1.0, 30, dial => plans.Rate(method.At(plans, dial)) < rate);
        return rate - plans.Rate(method.At(plans, low)) < plans.Rate(method.At(plans, high)) - rate ? low : high;
    }

    private static double Measure(Transformer model, TextWindows text, DropRequest rule, CancellationToken cancellation)
    {
        var drop = model.NewText(rule);
        foreach (int[] ids in text.Inputs)
        {
            cancellation.ThrowIfCancellationRequested();
            using var cache = model.NewCache(ids.Length);
            model.Forward(cache, ids, LogitRows.None, drop);
        }

        return drop.Counts.Rate;
    }
}

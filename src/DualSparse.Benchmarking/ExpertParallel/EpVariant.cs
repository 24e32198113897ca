using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>A way to run a layer whose loads are uneven.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Balance">How loads are balanced; null: they aren't.</param>
/// <param name="Drops">Whether pairs below the thresholds are dropped.</param>
internal sealed record EpVariant(string Name, BalanceSetting? Balance, bool Drops)
{
    /// <summary>Nothing is dropped, no rank switches.</summary>
    public static readonly EpVariant None = new("none", null, Drops: false);

    /// <summary>The same after experts were dealt out anew by the loads of earlier rows, as EPLB does without copies of experts; moving them isn't timed.</summary>
    public static readonly EpVariant Replaced = new("placed by earlier loads", null, Drops: false);

    /// <summary>What is to be compared: nothing, every rank alike, the paper's rule, ours.</summary>
    /// <param name="asked">The mode, and by which rates.</param>
    /// <param name="canReplace">Whether earlier loads are known.</param>
    public static IReadOnlyList<EpVariant> Of(BalanceSetting asked, bool canReplace)
    {
        List<EpVariant> all = canReplace ? [None, Replaced] : [None];
        if (asked.Drops)
        {
            all.Add(new("drop, every rank", asked with { Mode = BalanceMode.Drop, Rule = BalanceRule.All }, Drops: true));
            all.Add(new("drop, paper", asked with { Mode = BalanceMode.Drop, Rule = BalanceRule.Paper }, Drops: true));
            all.Add(new("drop, makespan", asked with { Mode = BalanceMode.Drop, Rule = BalanceRule.Makespan }, Drops: true));
        }

        if (asked.Switches)
        {
            all.Add(new("precision, every rank", asked with { Mode = BalanceMode.Precision, Rule = BalanceRule.All }, Drops: false));
            all.Add(new("precision, paper", asked with { Mode = BalanceMode.Precision, Rule = BalanceRule.Paper }, Drops: false));
            var makespan = asked with { Mode = BalanceMode.Precision, Rule = BalanceRule.Makespan };
            all.Add(new("precision, makespan", makespan, Drops: false));
            // It comes behind the one whose conversion it keeps.
            all.Add(new("the same, converted before", makespan with { KeepsConverted = true }, Drops: false));
        }

        if (asked.Drops && asked.Switches)
            all.Add(new("both, makespan", asked with { Rule = BalanceRule.Makespan }, Drops: true));
        return all;
    }

    /// <summary>The thresholds around one on ŝ: the paper's T ∓ δ.</summary>
    public static DropThresholds Around(float threshold) => new(Math.Max(0, threshold - Delta), threshold + Delta);

    private const float Delta = 0.01f;
}

using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Tasks;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>What a variant made of a task's items, or of several tasks', beside the model that isn't balanced.</summary>
/// <param name="Ranks">N; 0: nothing is balanced.</param>
/// <param name="Name">The variant's; empty: nothing is balanced.</param>
/// <param name="Right">[items] whether each is right.</param>
/// <param name="Kl">[items] Σ KL to the unbalanced run over the right choice's scored tokens.</param>
/// <param name="Tokens">[items] these tokens.</param>
/// <param name="Highest">Σ of the highest predicted load without balance, over layers of passes …</param>
/// <param name="Mean">… of the mean load …</param>
/// <param name="Balanced">… and of the highest as it is computed.</param>
/// <param name="Pairs">Row-expert pairs …</param>
/// <param name="Switched">… and those in the lower precision.</param>
/// <param name="Dropped">The share of work that isn't computed.</param>
internal sealed record RealbFigures(
    int Ranks, string Name, bool[] Right, float[] Kl, int[] Tokens, double Highest, double Mean, double Balanced, long Pairs, long Switched, double Dropped)
{
    /// <summary>The share of right items.</summary>
    public double Accuracy => Right.Average(right => right ? 1.0 : 0.0);

    /// <summary>The highest load without balance over that with it.</summary>
    public double Over => Balanced > 0 ? Highest / Balanced : 1;

    /// <summary>(max − mean) / max.</summary>
    public double Bound => Highest > 0 ? 1 - Mean / Highest : 0;

    /// <summary>The share of pairs in the lower precision.</summary>
    public double SwitchedShare => Pairs > 0 ? (double)Switched / Pairs : 0;

    /// <summary>KL a token, with the interval over items.</summary>
    public Interval KullbackLeibler() => PairedBootstrap.Ratio([.. Kl.Select(kl => (double)kl)], [.. Tokens.Select(tokens => (double)tokens)]);

    /// <summary>The change of accuracy, paired by item.</summary>
    public Interval Change(RealbFigures before) => PairedBootstrap.Mean([.. Right.Zip(before.Right, (now, then) => (now ? 1.0 : 0.0) - (then ? 1.0 : 0.0))]);

    /// <summary>Items that were right and are wrong, and the other way.</summary>
    public (int Lost, int Won) Flips(RealbFigures before) => (Right.Zip(before.Right).Count(pair => pair.Second && !pair.First), Right.Zip(before.Right).Count(pair => pair.First && !pair.Second));

    /// <summary>From a run.</summary>
    public static RealbFigures Of(RealbVariant? variant, TaskResult result, BalanceTally? tally, double dropped) => new(
        variant?.Ranks ?? 0, variant?.Name ?? "", [.. result.Items.Select(i => i.Right)], [.. result.Items.Select(i => (float)i.Loss.KullbackLeibler)], [.. result.Items.Select(i => i.Loss.Tokens)],
        tally?.Highest ?? 0, tally?.Mean ?? 0, tally?.Balanced ?? 0, tally?.Pairs ?? 0, tally?.SwitchedPairs ?? 0, dropped);

    /// <summary>Several steps' or tasks' together, variant by variant.</summary>
    /// <param name="all">[steps][variants].</param>
    public static IReadOnlyList<RealbFigures> Together(IReadOnlyList<IReadOnlyList<RealbFigures>> all) =>
        [.. Enumerable.Range(0, all[0].Count).Select(variant => Together([.. all.Select(step => step[variant])]))];

    /// <summary>Reads a step's.</summary>
    public static RealbFigures[] Read(JsonNode step) => step["variants"].Deserialize<RealbFigures[]>()!;

    private static RealbFigures Together(RealbFigures[] all) => new(
        all[0].Ranks, all[0].Name, [.. all.SelectMany(f => f.Right)], [.. all.SelectMany(f => f.Kl)], [.. all.SelectMany(f => f.Tokens)], all.Sum(f => f.Highest), all.Sum(f => f.Mean),
        all.Sum(f => f.Balanced), all.Sum(f => f.Pairs), all.Sum(f => f.Switched), all.Sum(f => f.Dropped * f.Right.Length) / all.Sum(f => f.Right.Length));
}

using DualSparse.Models;

namespace DualSparse.Sparsify.Complete;

/// <summary>How a router makes scores of its logits.</summary>
internal enum Scoring
{
    /// <summary>Softmax over all experts; a softmax over the chosen logits only is this one, renormalised.</summary>
    Softmax,

    /// <summary>The logistic function of each logit.</summary>
    Sigmoid,
}

/// <summary>By what groups of experts are chosen.</summary>
internal enum GroupScore
{
    /// <summary>The best score in the group (DeepSeek-V2).</summary>
    Best,

    /// <summary>The sum of the group's two best scores, correction bias included (DeepSeek-V3).</summary>
    SumOfBestTwo,
}

/// <summary>What the complete transformation must know of a router.</summary>
/// <param name="Scoring">From logits to scores.</param>
/// <param name="Renormalised">Whether the chosen scores are divided by their sum.</param>
/// <param name="Experts">Routed experts with weights.</param>
/// <param name="TopK">Experts a token.</param>
internal sealed record RouterKind(Scoring Scoring, bool Renormalised, int Experts, int TopK)
{
    /// <summary>Experts behind the others that return their input (LongCat-Flash's zero experts).</summary>
    public int IdentityExperts { get; init; }

    /// <summary>Groups of consecutive experts; 1: none.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Groups a token may choose experts from.</summary>
    public int TopKGroups { get; init; } = 1;

    /// <summary>By what groups are chosen.</summary>
    public GroupScore GroupScore { get; init; }

    /// <summary>The router of a model that the engine loads: all of them are softmax, with groups by their best score.</summary>
    public static RouterKind Of(MoeConfig moe) =>
        new(Scoring.Softmax, moe.NormTopK, moe.Experts, moe.TopK) { Groups = moe.Groups, TopKGroups = moe.TopKGroups };
}

/// <summary>A part of an expert: neurons Part·F/P to (Part+1)·F/P.</summary>
/// <param name="Expert">The original expert.</param>
/// <param name="Part">From 0 to P−1.</param>
internal readonly record struct ExpertPart(int Expert, int Part);

/// <summary>What becomes of a router and its experts when each is cut into P.</summary>
/// <param name="DownScale">What W2 is multiplied with.</param>
/// <param name="DownBiasScale">What a down projection's bias is multiplied with, in each of the P experts.</param>
/// <param name="CorrectionBiasScale">What a correction bias, added to the scores for the choice alone, is multiplied with.</param>
/// <param name="Order">
/// The new experts in order, identity experts last: whose part each is. Its row of the gate, its router bias and its correction bias are
/// copies of that expert's.
/// </param>
/// <param name="TopK">Experts a token.</param>
/// <param name="Groups">Groups of consecutive experts.</param>
/// <param name="TopKGroups">Groups a token may choose from.</param>
internal sealed record Completion(
    int DownScale, double DownBiasScale, double CorrectionBiasScale, IReadOnlyList<ExpertPart> Order, int TopK, int Groups, int TopKGroups);

/// <summary>
/// The complete transformation (arXiv 2508.18376): E·P experts of F/P neurons, K·P of them a token, gate rows repeated, so that an
/// ordinary finer-grained checkpoint computes the same function. THE place where a router's rule decides what is scaled.
/// </summary>
internal static class CompletionRule
{
    /// <summary>
    /// P copies of a row share a softmax's score, so each has 1/P of it, and so has each after renormalising: W2 times P makes up for it.
    /// A sigmoid's copies keep their score: their outputs already add up to the whole. Copies stand beside each other, except where a
    /// group's two best are summed, which would then be two copies of one: there part p of each group's experts is a group of its own.
    /// </summary>
    /// <param name="router">The router as it is.</param>
    /// <param name="parts">P, at least 1.</param>
    /// <exception cref="ArgumentException">P is below 1, the router contradicts itself, or no such checkpoint computes the same.</exception>
    public static Completion Of(RouterKind router, int parts)
    {
        if (parts < 1)
            throw new ArgumentException($"experts can't be cut into {parts} parts, expected at least 1");
        if (router.Groups < 1 || router.Experts % router.Groups != 0)
            throw new ArgumentException($"{router.Experts} experts can't be split into {router.Groups} groups evenly");
        bool shared = router.Scoring == Scoring.Softmax || router.Renormalised;
        if (router.IdentityExperts > 0 && !shared && parts > 1)
            throw new ArgumentException("identity experts behind a sigmoid that isn't renormalised can't be repeated: they have no weights to scale, and would count P times");
        if (router.IdentityExperts > 0 && router.Groups > 1)
            throw new ArgumentException("identity experts in groups are not known to any model");
        bool regroup = router.Groups > 1 && router.GroupScore == GroupScore.SumOfBestTwo;
        int size = router.Experts / router.Groups;
        if (regroup && size < 2)
            throw new ArgumentException("groups of one expert have no two best scores to add up");
        return new Completion(
            DownScale: shared ? parts : 1,
            DownBiasScale: shared ? 1 : 1.0 / parts,
            CorrectionBiasScale: router.Scoring == Scoring.Softmax ? 1.0 / parts : 1,
            Order: regroup ? PartByPart(router.Groups, size, parts) : SideBySide(router.Experts + router.IdentityExperts, parts),
            TopK: router.TopK * parts,
            Groups: regroup ? router.Groups * parts : router.Groups,
            TopKGroups: regroup ? router.TopKGroups * parts : router.TopKGroups);
    }

    private static ExpertPart[] SideBySide(int experts, int parts) =>
        [.. Enumerable.Range(0, experts * parts).Select(i => new ExpertPart(i / parts, i % parts))];

    // Groups (g, p), within them the experts of g.
    private static ExpertPart[] PartByPart(int groups, int size, int parts) =>
        [.. Enumerable.Range(0, groups * parts * size).Select(i => new ExpertPart(i / (parts * size) * size + i % size, i / size % parts))];
}

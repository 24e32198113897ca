namespace DualSparse.Engine.Moe.Drop;

/// <summary>One layer's part of a <see cref="DropRequest"/>.</summary>
/// <param name="Thresholds">The thresholds of every expert that <paramref name="Experts"/> doesn't give its own.</param>
/// <param name="Experts">[experts] each expert's own; null: <paramref name="Thresholds"/> for all.</param>
/// <param name="Norms">[experts] n_e, for <see cref="DropScore.Contribution"/>.</param>
internal sealed record LayerThresholds(DropThresholds Thresholds, IReadOnlyList<DropThresholds>? Experts = null, IReadOnlyList<float>? Norms = null)
{
    /// <summary>Whether any expert may be dropped.</summary>
    internal bool Drops => Experts?.Any(t => t != DropThresholds.None) ?? Thresholds != DropThresholds.None;
}

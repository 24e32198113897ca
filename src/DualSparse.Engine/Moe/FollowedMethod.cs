namespace DualSparse.Engine.Moe;

/// <summary>A method made ready for a <see cref="RateFollower"/>; one for all texts of a model.</summary>
internal sealed class FollowedMethod
{
    /// <summary>Bins of places from 0 to 1: each holds a thousandth of the work, and between their ends straight lines are drawn.</summary>
    public const int Bins = 1024;

    /// <summary>Prepares a method.</summary>
    /// <param name="method">Its points rise.</param>
    /// <param name="routed">By layer, whether it has routed experts.</param>
    /// <param name="asked">The folder, and what of a rule led to it.</param>
    public FollowedMethod(DropMethod method, IReadOnlyList<bool> routed, (string Folder, string? Method, float Delta) asked)
    {
        (Method, Routed, Asked) = (method, routed, asked);
        Layers = [.. routed.Select((has, l) => has && new RateCurve(method, l) is { Drops: true } curve ? curve : null)];
        Known = Layers.All(l => l?.Known ?? true);
        Shares = [.. Layers.Select(l => Known && l is not null ? Enumerable.Range(0, Bins).Select(b => l.RateAt((b + 1.0) / Bins) - l.RateAt((double)b / Bins)).ToArray() : null)];
    }

    /// <summary>The method.</summary>
    public DropMethod Method { get; }

    /// <summary>The checkpoint's folder, and what of a rule led to it: the same again is this one.</summary>
    public (string Folder, string? Method, float Delta) Asked { get; }

    /// <summary>By layer, whether it has routed experts.</summary>
    public IReadOnlyList<bool> Routed { get; }

    /// <summary>By layer; null where there is nothing to drop.</summary>
    public IReadOnlyList<RateCurve?> Layers { get; }

    /// <summary>Whether it is known what the thresholds leave out of ordinary text.</summary>
    public bool Known { get; }

    /// <summary>By layer, the share of ordinary text's halves whose place is in each bin.</summary>
    public IReadOnlyList<double[]?> Shares { get; }
}

namespace DualSparse.Engine.Loading;

/// <summary>One window in one layer, or in those that a shortcut joins, under one plan.</summary>
/// <param name="Layer">The layer's index, or the last one's.</param>
/// <param name="Variant">The plan's index; 0 drops nothing.</param>
/// <param name="Window">The window's index.</param>
internal readonly record struct StreamStep(int Layer, int Variant, int Window);

/// <summary>Receives some logits of a window under one plan; valid during the call.</summary>
/// <param name="window">The window's index.</param>
/// <param name="variant">The plan's index; the plans of a block of tokens follow one another, 0 first.</param>
/// <param name="first">The first row's token: its logits predict token <paramref name="first"/> + 1.</param>
/// <param name="dense">[rows, vocabulary] under plan 0.</param>
/// <param name="logits">[rows, vocabulary] under this one.</param>
internal delegate void WindowLogits(int window, int variant, int first, ReadOnlySpan<float> dense, ReadOnlySpan<float> logits);

/// <summary>
/// Observers of windows that stream through the layers. A plan that has dropped nothing up to a layer equals the dense run there, so
/// <see cref="Watch"/> and <see cref="After"/> aren't called for it.
/// </summary>
internal sealed record StreamHooks
{
    /// <summary>Called before a step; returns its observers, or null.</summary>
    public Func<StreamStep, PassWatch?>? Watch { get; init; }

    /// <summary>Called after a step.</summary>
    public Action<StreamStep>? After { get; init; }

    /// <summary>Called with the logits, window by window, after the last layer; null: they aren't computed.</summary>
    public WindowLogits? Logits { get; init; }
}

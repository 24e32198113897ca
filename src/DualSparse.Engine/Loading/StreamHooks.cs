namespace DualSparse.Engine.Loading;

/// <summary>One window on its way through one layer under one plan.</summary>
/// <param name="Layer">The layer's index.</param>
/// <param name="Variant">The plan's index; 0 drops nothing.</param>
/// <param name="Window">The window's index.</param>
internal readonly record struct StreamStep(int Layer, int Variant, int Window);

/// <summary>Sees some logits of a window under one plan; valid during the call.</summary>
/// <param name="window">The window's index.</param>
/// <param name="variant">The plan's index; those of one block of tokens follow one another, 0 first.</param>
/// <param name="first">The first row's token: its logits predict token <paramref name="first"/> + 1.</param>
/// <param name="dense">[rows, vocabulary] under plan 0.</param>
/// <param name="logits">[rows, vocabulary] under this one.</param>
internal delegate void WindowLogits(int window, int variant, int first, ReadOnlySpan<float> dense, ReadOnlySpan<float> logits);

/// <summary>
/// Who looks on while windows stream through the layers. A plan that has dropped nothing up to a layer is there the dense run, and
/// <see cref="Watch"/> and <see cref="After"/> aren't called for it.
/// </summary>
internal sealed record StreamHooks
{
    /// <summary>Asked before a step who looks on; null: nobody.</summary>
    public Func<StreamStep, PassWatch?>? Watch { get; init; }

    /// <summary>Told after a step.</summary>
    public Action<StreamStep>? After { get; init; }

    /// <summary>Given the logits, window by window, after the last layer; null: they aren't computed.</summary>
    public WindowLogits? Logits { get; init; }
}

using DualSparse.Engine.Moe;

namespace DualSparse.Engine.Loading;

/// <summary>One window on its way through one layer under one rule.</summary>
/// <param name="Layer">The layer's index.</param>
/// <param name="Moe">Its experts (or dense MLP); only this layer's are in memory.</param>
/// <param name="Variant">The rule's index; 0 drops nothing.</param>
/// <param name="Window">The window's index.</param>
public readonly record struct StreamStep(int Layer, MoeLayer Moe, int Variant, int Window);

/// <summary>Sees some logits of a window under one rule; valid during the call.</summary>
/// <param name="window">The window's index.</param>
/// <param name="variant">The rule's index; those of one block of tokens follow one another, 0 first.</param>
/// <param name="first">The first row's token: its logits predict token <paramref name="first"/> + 1.</param>
/// <param name="dense">[rows, vocabulary] under rule 0.</param>
/// <param name="logits">[rows, vocabulary] under this one.</param>
public delegate void WindowLogits(int window, int variant, int first, ReadOnlySpan<float> dense, ReadOnlySpan<float> logits);

/// <summary>
/// Who looks on while windows stream through the layers. A rule that has dropped nothing up to a layer is there the dense run, and
/// <see cref="Before"/> and <see cref="After"/> aren't called for it.
/// </summary>
public sealed record StreamHooks
{
    /// <summary>Before a step: say, to set <see cref="MoeLayer.Observer"/>, which is taken away after the step.</summary>
    public Action<StreamStep>? Before { get; init; }

    /// <summary>After a step: <see cref="MoeLayer.Plan"/> and <see cref="MoeLayer.Counts"/> are the step's.</summary>
    public Action<StreamStep>? After { get; init; }

    /// <summary>Given the logits, window by window, after the last layer; null: they aren't computed.</summary>
    public WindowLogits? Logits { get; init; }
}

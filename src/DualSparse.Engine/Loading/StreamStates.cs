namespace DualSparse.Engine.Loading;

/// <summary>The hidden states of every window under every plan; a plan that has dropped nothing yet shares the dense run's.</summary>
/// <param name="variants">The number of plans.</param>
/// <param name="dense">[windows] of [streams, tokens, hidden] f32: the embeddings.</param>
internal sealed class StreamStates(int variants, float[][] dense)
{
    private readonly float[]?[][] own = [.. Enumerable.Range(0, variants).Select(v => v == 0 ? dense : new float[]?[dense.Length])];
    private readonly bool[] differs = new bool[variants];

    /// <summary>Whether a plan's states differ from the dense run's.</summary>
    public bool Differs(int variant) => differs[variant];

    /// <summary>From now on they do.</summary>
    public void SetDiffers(int variant) => differs[variant] = true;

    /// <summary>[streams, tokens, hidden] of a window, to be overwritten; starts as a copy of the dense run's.</summary>
    public float[] Of(int variant, int window) => own[variant][window] ??= [.. dense[window]];
}

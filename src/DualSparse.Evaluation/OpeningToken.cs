using DualSparse.Models;

namespace DualSparse.Evaluation;

/// <summary>The token that a scored sequence begins with.</summary>
internal static class OpeningToken
{
    /// <summary>The model's opening id; models without one saw documents follow one another with the closing id between them.</summary>
    /// <exception cref="ArgumentException">The model has neither.</exception>
    public static int Of(ModelConfig config) => config.Generation.BosId
        ?? (config.Generation.EosIds is [var eos, ..] ? eos : throw new ArgumentException("this model has no token that opens or ends a text"));
}

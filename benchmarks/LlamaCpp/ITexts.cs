using DualSparse.Engine;

namespace DualSparse.LlamaCpp;

/// <summary>Some texts in an engine, which grow together.</summary>
internal interface ITexts : IDisposable
{
    /// <summary>Empties all texts.</summary>
    void Clear();

    /// <summary>Appends tokens to every text in one pass.</summary>
    /// <param name="ids">Each text's ids.</param>
    /// <param name="logits">After which of them logits are computed.</param>
    /// <returns>[rows, vocabulary]: the first text's rows, then the second's, …; valid until the next call.</returns>
    ReadOnlySpan<float> Append(ReadOnlyMemory<int>[] ids, LogitRows logits);
}

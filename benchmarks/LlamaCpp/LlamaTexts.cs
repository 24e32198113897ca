using DualSparse.Engine;
using LLama.Native;

namespace DualSparse.LlamaCpp;

/// <summary>Texts in llama.cpp: the sequences of a context.</summary>
/// <param name="context">The context, with room for as many sequences; it is this object's to dispose.</param>
internal sealed class LlamaTexts(SafeLLamaContextHandle context) : ITexts
{
    /// <summary>The most tokens of a pass: llama.cpp's own default, and this engine's.</summary>
    public const int MostTokens = 512;

    private readonly LLamaBatch batch = new();
    private readonly Dictionary<int, int> lengths = [];

    public void Clear()
    {
        context.MemoryClear(data: false);
        lengths.Clear();
    }

    public ReadOnlySpan<float> Append(ReadOnlyMemory<int>[] ids, LogitRows logits)
    {
        batch.Clear();
        int rows = 0;
        for (int text = 0; text < ids.Length; text++)
        {
            var own = ids[text].Span;
            int length = lengths.GetValueOrDefault(text);
            for (int i = 0; i < own.Length; i++)
            {
                bool wanted = logits == LogitRows.All || (logits == LogitRows.Last && i == own.Length - 1);
                rows += wanted ? 1 : 0;
                batch.Add(own[i], length + i, (LLamaSeqId)text, wanted);
            }

            lengths[text] = length + own.Length;
        }

        var result = context.Decode(batch);
        if (result != DecodeResult.Ok)
            throw new InvalidOperationException($"llama.cpp's pass over {batch.TokenCount} tokens of {ids.Length} texts ended with '{result}'");
        context.Synchronize();
        return rows == 0 ? [] : context.GetLogits(rows);
    }

    public void Dispose() => context.Dispose();
}

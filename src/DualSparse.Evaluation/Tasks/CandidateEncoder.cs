using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A candidate as ids.</summary>
/// <param name="Ids">The sequence: opening id, context, continuation.</param>
/// <param name="First">Index of the first id that is scored; below 1 where the continuation alone doesn't fit: an id is predicted from those before it.</param>
/// <param name="Lost">Ids of the context that didn't fit.</param>
internal readonly record struct EncodedCandidate(int[] Ids, int First, int Lost);

/// <summary>
/// Encodes context and continuation together, as the model would read them; the continuation's ids are those after the longest common
/// prefix with the context's ids. The sequence begins with the model's opening id; if it is too long, its last ids are kept.
/// </summary>
internal sealed class CandidateEncoder
{
    private readonly Tokenizer tokenizer;
    private readonly int opening;
    private readonly int length;

    /// <summary>An encoder for one model.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="length">The most ids of a sequence.</param>
    /// <exception cref="ArgumentException">The model has no id that opens a text, or the length is out of its range.</exception>
    public CandidateEncoder(Tokenizer tokenizer, ModelConfig config, int length)
    {
        if (length < 2 || length > config.MaxPositions)
            throw new ArgumentException($"a context of {length} tokens, expected 2 to the model's {config.MaxPositions}");
        (this.tokenizer, this.length) = (tokenizer, length);
        opening = OpeningToken.Of(config);
    }

    /// <summary>Encodes a candidate.</summary>
    public EncodedCandidate Encode(TaskCandidate candidate)
    {
        int[] context = Plain(candidate.Context), joint = Plain(candidate.Context + candidate.Continuation);
        int first = 1 + context.AsSpan().CommonPrefixLength(joint);
        int[] ids = [opening, .. joint];
        int lost = Math.Max(0, ids.Length - length);
        return new EncodedCandidate(ids[lost..], first - lost, lost);
    }

    private int[] Plain(string text) => tokenizer.Encode(text, addSpecial: false, allowSpecial: false);
}

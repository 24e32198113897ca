using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A candidate as ids.</summary>
/// <param name="Ids">The sequence: opening id, context, continuation.</param>
/// <param name="First">Index of the first id that is scored; below 1 where the continuation alone doesn't fit: an id is predicted from those before it.</param>
/// <param name="Lost">Ids of the context that didn't fit.</param>
internal readonly record struct EncodedCandidate(int[] Ids, int First, int Lost);

/// <summary>
/// Context and continuation become ids together, as the model would read them; the continuation's are those after the longest common
/// prefix with the context's own. The sequence begins with the model's opening id; of a longer one the last ids are kept.
/// </summary>
internal sealed class CandidateEncoder
{
    private readonly Tokenizer tokenizer;
    private readonly int opening;
    private readonly int length;

    /// <summary>An encoder for one model.</summary>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="config">The model's.</param>
    /// <param name="length">Ids of a sequence at most.</param>
    /// <exception cref="ArgumentException">The model has no id that opens a text, or the length makes no sense for it.</exception>
    public CandidateEncoder(Tokenizer tokenizer, ModelConfig config, int length)
    {
        if (length < 2 || length > config.MaxPositions)
            throw new ArgumentException($"a context of {length} tokens, expected 2 to the model's {config.MaxPositions}");
        (this.tokenizer, this.length) = (tokenizer, length);
        opening = OpeningToken.Of(config);
    }

    /// <summary>Encodes.</summary>
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

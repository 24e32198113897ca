using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation.Tasks;

/// <summary>A candidate as ids.</summary>
/// <param name="Ids">The sequence: what all begin with, context, continuation.</param>
/// <param name="First">Index of the first id that is scored; where it has no id to be predicted from, the continuation alone doesn't fit.</param>
/// <param name="Lost">Ids of the context that didn't fit.</param>
internal readonly record struct EncodedCandidate(int[] Ids, int First, int Lost);

/// <summary>
/// Encodes context and continuation together, as the model would read them; the continuation's ids are those after the longest common
/// prefix with the context's ids. The sequence begins with the model's opening id, or with pictures; if it is too long, its last ids are kept, and pictures before them.
/// </summary>
internal sealed class CandidateEncoder
{
    private readonly Tokenizer tokenizer;

    /// <summary>An encoder for one model.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="length">The most ids of a sequence.</param>
    /// <exception cref="ArgumentException">The model has no id that opens a text, or the length is out of its range.</exception>
    public CandidateEncoder(Tokenizer tokenizer, ModelConfig config, int length)
    {
        if (length < 2 || length > config.MaxPositions)
            throw new ArgumentException($"a context of {length} tokens, expected 2 to the model's {config.MaxPositions}");
        (this.tokenizer, Length, Opening) = (tokenizer, length, OpeningToken.Of(config));
    }

    /// <summary>The most ids of a sequence.</summary>
    public int Length { get; }

    /// <summary>The id that opens a sequence.</summary>
    public int Opening { get; }

    /// <summary>The ids that the tokenizer itself begins a prompt with; mostly none, or the opening one.</summary>
    public int[] PromptBeginning => tokenizer.Encode("");

    /// <summary>Encodes a candidate.</summary>
    /// <param name="candidate">The candidate.</param>
    /// <param name="beginning">What stands there with pictures, which isn't cut; null: the opening id, which is.</param>
    public EncodedCandidate Encode(TaskCandidate candidate, int[]? beginning = null)
    {
        int[] context = Plain(candidate.Context), joint = Plain(candidate.Context + candidate.Continuation), before = beginning ?? [Opening];
        int first = before.Length + context.AsSpan().CommonPrefixLength(joint);
        int lost = Math.Max(0, before.Length + joint.Length - Length);
        int[] ids = beginning is null ? ((int[])[.. before, .. joint])[lost..] : [.. before, .. joint.AsSpan(Math.Min(lost, joint.Length))];
        return new EncodedCandidate(ids, first - lost, lost);
    }

    private int[] Plain(string text) => tokenizer.Encode(text, addSpecial: false, allowSpecial: false);
}

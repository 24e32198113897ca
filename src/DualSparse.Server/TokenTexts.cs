using System.Text;
using System.Text.Unicode;
using DualSparse.Engine.Serving;
using DualSparse.Models.Text;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>Single tokens as answers tell them.</summary>
/// <param name="tokenizer">Theirs.</param>
internal sealed class TokenTexts(Tokenizer tokenizer)
{
    /// <summary>A token's text; of one that is no whole characters its bytes, as <c>bytes:\xe2\x80</c>.</summary>
    public string Of(int id)
    {
        byte[] bytes = Bytes(id);
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : $"bytes:{string.Concat(bytes.Select(b => $"\\x{b:x2}"))}";
    }

    /// <summary>A generated token with its log-probability and its alternatives'.</summary>
    public ChatToken Chat(GeneratedToken token) => new(
        Of(token.Id), token.LogProb ?? 0, Numbers(token.Id), [.. token.Alternatives.Select(other => new ChatCandidate(Of(other.Id), other.LogProb, Numbers(other.Id)))]);

    /// <summary>By text, the most probable tokens and the one that stands there.</summary>
    public IReadOnlyDictionary<string, float> Top(int id, float logProb, IReadOnlyList<TokenLogProb> best)
    {
        OrderedDictionary<string, float> top = [];
        // Of two tokens with one text the more probable one counts.
        foreach (var other in best)
            top.TryAdd(Of(other.Id), other.LogProb);
        top.TryAdd(Of(id), logProb);
        return top;
    }

    private int[] Numbers(int id) => [.. Bytes(id).Select(b => (int)b)];

    private byte[] Bytes(int id) => tokenizer.IsSpecial(id) && tokenizer.TokenText(id) is { } special ? Encoding.UTF8.GetBytes(special) : tokenizer.BytesOf(id);
}

using DualSparse.Engine.Serving;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>Tokens of one answer, in the lists that /v1/completions tells them by.</summary>
/// <param name="texts">Their texts.</param>
internal sealed class TokenList(TokenTexts texts)
{
    private List<string> tokens = [];
    private List<float?> logProbs = [];
    private List<IReadOnlyDictionary<string, float>?> top = [];
    private List<int> offsets = [];
    private int length;

    /// <summary>Adds a token; one without a log-probability begins a text.</summary>
    public void Add(int id, float? logProb, IReadOnlyList<TokenLogProb> best)
    {
        string text = texts.Of(id);
        tokens.Add(text);
        logProbs.Add(logProb);
        top.Add(logProb is { } own ? texts.Top(id, own, best) : null);
        offsets.Add(length);
        length += text.Length;
    }

    /// <summary>The lists so far; the next begin where these end.</summary>
    public TextLogProbs Take()
    {
        var lists = new TextLogProbs(tokens, logProbs, top, offsets);
        (tokens, logProbs, top, offsets) = ([], [], [], []);
        return lists;
    }
}

using DualSparse.Models.Text;

namespace DualSparse.Engine.Serving;

/// <summary>Makes text of the tokens that a model chooses, one after another, and says when they end.</summary>
internal sealed class TokenWriter
{
    private readonly Tokenizer tokenizer;
    private readonly IReadOnlyList<int> eosIds;
    private readonly StopFilter stops;
    private readonly StreamingDecoder decoder;
    private readonly int most;
    private readonly FinishReason limit;

    /// <summary>Starts behind a context.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">What ends the text.</param>
    /// <param name="context">The tokens before it.</param>
    /// <param name="room">Tokens for which there is room behind them.</param>
    public TokenWriter(MoeModel model, GenerationOptions options, ReadOnlySpan<int> context, int room)
    {
        tokenizer = model.Tokenizer;
        eosIds = options.EosIds ?? model.Config.Generation.EosIds;
        stops = new StopFilter(options.StopStrings);
        decoder = new StreamingDecoder(tokenizer, skipSpecial: true);
        // How a token reads can depend on what stands before it; the text of the context itself isn't wanted.
        foreach (int id in context)
            decoder.Push(id);
        most = Math.Min(options.MaxTokens ?? int.MaxValue, room);
        limit = options.MaxTokens <= room ? FinishReason.MaxTokens : FinishReason.ContextFull;
        Finish = most == 0 ? limit : null;
    }

    /// <summary>Tokens written.</summary>
    public int Count { get; private set; }

    /// <summary>Why the text has ended; null: it goes on.</summary>
    public FinishReason? Finish { get; private set; }

    /// <summary>The stop string that has come; null: none has.</summary>
    public string? StopString => stops.Stop;

    /// <summary>Writes a token.</summary>
    /// <param name="id">The token.</param>
    /// <param name="logProb">Its log-probability, if that is wanted.</param>
    /// <param name="alternatives">The most probable tokens in its place.</param>
    public GeneratedToken Write(int id, float? logProb = null, IReadOnlyList<TokenLogProb>? alternatives = null)
    {
        Count++;
        string text = tokenizer.IsSpecial(id) ? stops.PushHidden(tokenizer.TokenText(id)!) : stops.Push(decoder.Push(id));
        Finish = eosIds.Contains(id) ? FinishReason.EndOfText : Count == most ? limit : null;
        if (Finish is not null)
            text += stops.Push(decoder.Flush());
        if (stops.Stop is not null)
            Finish = FinishReason.StopString;
        if (Finish is not null)
            text += stops.Flush();
        return new GeneratedToken(id, text, logProb, alternatives ?? [], Finish);
    }
}

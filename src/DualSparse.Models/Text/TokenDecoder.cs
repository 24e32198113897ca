using System.Text;

namespace DualSparse.Models.Text;

/// <summary>How tokens become text again: the section <c>decoder</c>.</summary>
internal sealed record TokenDecoder
{
    /// <summary>Tokens are bytes in the byte alphabet.</summary>
    public bool ByteLevel { get; private init; }

    /// <summary>Tokens such as <c>&lt;0x0A&gt;</c> are bytes.</summary>
    public bool ByteFallback { get; private init; }

    /// <summary>No decoder is given: tokens are joined by spaces.</summary>
    public bool JoinWithSpaces { get; private init; }

    /// <summary>What is replaced in each token, in order.</summary>
    public IReadOnlyList<(string From, string To)> Replacements { get; private init; } = [];

    /// <summary>What the first token loses (the space that SentencePiece puts before a text), before the replacements.</summary>
    public string? FirstTokenDrops { get; private init; }

    /// <summary>The whole text loses up to <see cref="StripCount"/> of this character at its start.</summary>
    public char StripCharacter { get; private init; }

    /// <summary>See <see cref="StripCharacter"/>.</summary>
    public int StripCount { get; private init; }

    /// <summary>The tokens are one text already: what follows acts on the whole.</summary>
    private bool Fused { get; init; }

    /// <summary>Reads the section.</summary>
    public static TokenDecoder Read(JsonField section) =>
        section.IsNull ? new TokenDecoder { JoinWithSpaces = true } : new TokenDecoder().With(section);

    /// <summary>The byte that a token such as <c>&lt;0x0A&gt;</c> stands for, or -1.</summary>
    public static int FallbackByte(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && char.IsAsciiHexDigit(token[3]) && char.IsAsciiHexDigit(token[4])
            ? Convert.ToInt32(token[3..5], 16)
            : -1;

    /// <summary>What a token adds to a text in its middle, as UTF-8; not for byte-level tokens.</summary>
    public byte[] BytesOf(string token)
    {
        string text = Replace(token);
        return ByteFallback && FallbackByte(text) is int value and >= 0 ? [(byte)value] : Encoding.UTF8.GetBytes(JoinWithSpaces ? " " + text : text);
    }

    /// <summary>Makes the replacements in a token.</summary>
    public string Replace(string token) =>
        Replacements.Aggregate(token, (text, pair) => text.Replace(pair.From, pair.To, StringComparison.Ordinal));

    private TokenDecoder With(JsonField section)
    {
        string type = section.Type;
        if (ByteLevel || (type == "ByteLevel" && this != new TokenDecoder { Replacements = Replacements }))
        {
            throw section.NotImplemented($"the decoder {type} together with ByteLevel");
        }

        switch (type)
        {
            case "Sequence":
                return section.Items("decoders").Aggregate(this, (decoder, part) => decoder.With(part));
            case "ByteLevel":
                return this with { ByteLevel = true };
            case "ByteFallback" when !Fused:
                return this with { ByteFallback = true };
            case "Fuse":
                return this with { Fused = true };
            case "Replace" when !Fused && !ByteFallback:
                return this with { Replacements = [.. Replacements, ReadReplacement(section)] };
            case "Strip" when Fused && StripCount == 0:
                return WithStrip(section);
            case "Metaspace" when !Fused && !ByteFallback:
                string mark = section.Text("replacement", "▁");
                bool prepends = section.Text("prepend_scheme", section.Flag("add_prefix_space", true) ? "always" : "never") != "never";
                return this with { Replacements = [.. Replacements, (mark, " ")], FirstTokenDrops = prepends ? mark : null };
            default:
                throw section.NotImplemented($"the decoder {type} at this place");
        }
    }

    private TokenDecoder WithStrip(JsonField section)
    {
        string content = section.Text("content");
        if (content.Length != 1)
        {
            throw section.Child("content").Expected("one character");
        }

        if (section.Child("stop").AsInt(0, int.MaxValue, otherwise: 0) > 0)
        {
            throw section.NotImplemented("a decoder that strips the end of a text");
        }

        return this with { StripCharacter = content[0], StripCount = section.Child("start").AsInt(0, int.MaxValue, otherwise: 0) };
    }

    private static (string From, string To) ReadReplacement(JsonField section)
    {
        string from = section.Child("pattern").Text("String", null)
            ?? throw section.NotImplemented("a decoder that replaces by a regular expression");
        return from.Length > 0 ? (from, section.Text("content")) : throw section.Child("pattern").Expected("a string that isn't empty");
    }
}

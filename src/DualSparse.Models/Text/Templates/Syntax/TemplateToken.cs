namespace DualSparse.Models.Text.Templates;

/// <summary>What a token of a template is.</summary>
internal enum TokenKind
{
    /// <summary>Text between tags.</summary>
    Text,

    /// <summary><c>{{</c></summary>
    OutputBegin,

    /// <summary><c>}}</c></summary>
    OutputEnd,

    /// <summary><c>{%</c></summary>
    BlockBegin,

    /// <summary><c>%}</c></summary>
    BlockEnd,

    /// <summary>A name or a word of the language.</summary>
    Name,

    /// <summary>A quoted string; its text has no escapes any more.</summary>
    String,

    /// <summary>A whole number.</summary>
    Integer,

    /// <summary>A floating-point number.</summary>
    Float,

    /// <summary>Anything else inside tags.</summary>
    Sign,

    /// <summary>The end of the template.</summary>
    End,
}

/// <summary>A token.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text.</param>
/// <param name="Position">Where it stands in the source.</param>
internal readonly record struct TemplateToken(TokenKind Kind, string Text, int Position)
{
    /// <summary>Whether it is this sign.</summary>
    public bool IsSign(string sign) => Kind == TokenKind.Sign && Text == sign;

    /// <summary>Whether it is this word.</summary>
    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    /// <summary>How errors name it.</summary>
    public override string ToString() => Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.OutputEnd => "'}}'",
        TokenKind.Text => "text",
        _ => $"'{JsonField.Shorten(Text)}'",
    };
}

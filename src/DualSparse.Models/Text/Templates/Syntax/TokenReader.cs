using System.Runtime.CompilerServices;

namespace DualSparse.Models.Text.Templates;

/// <summary>Goes through a template's tokens, and stops at what nests too deeply.</summary>
internal sealed class TokenReader(List<TemplateToken> tokens)
{
    // Far more than anybody reads; Python gives up earlier.
    private const int MostDepth = 100;

    private int next;
    private int depth;

    /// <summary>The token it stands at.</summary>
    public TemplateToken Current => tokens[next];

    /// <summary>The one after it.</summary>
    public TemplateToken Following => tokens[Math.Min(next + 1, tokens.Count - 1)];

    /// <summary>Gives the token it stands at, and goes on.</summary>
    public TemplateToken Take() => next < tokens.Count - 1 ? tokens[next++] : tokens[next];

    /// <summary>Passes a sign, where it stands there.</summary>
    public bool SkipSign(string sign) => Skip(Current.IsSign(sign));

    /// <summary>Passes a word, where it stands there.</summary>
    public bool SkipName(string name) => Skip(Current.IsName(name));

    /// <summary>Passes a sign that must stand there.</summary>
    public void ExpectSign(string sign)
    {
        if (!SkipSign(sign))
            throw Unexpected($"'{sign}'");
    }

    /// <summary>Passes a word that must stand there.</summary>
    public void ExpectName(string name)
    {
        if (!SkipName(name))
            throw Unexpected($"'{name}'");
    }

    /// <summary>Passes a token that must be of this kind.</summary>
    public TemplateToken Expect(TokenKind kind, string what) => Current.Kind == kind ? Take() : throw Unexpected(what);

    /// <summary>Passes the end of a block's tag.</summary>
    public void EndBlock() => Expect(TokenKind.BlockEnd, "'%}'");

    /// <summary>The error that something else was expected here.</summary>
    public TemplateError Unexpected(string expected) => Error($"expected {expected}, found {Current}");

    /// <summary>An error at the token it stands at.</summary>
    public TemplateError Error(string message) => new(message) { Position = Current.Position };

    /// <summary>Goes a level deeper; <see cref="Leave"/> ends it.</summary>
    public void Enter()
    {
        if (++depth > MostDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Error($"the template is nested more than {MostDepth} levels deep");
    }

    /// <summary>Leaves what <see cref="Enter"/> entered.</summary>
    public void Leave() => depth--;

    private bool Skip(bool there)
    {
        if (there)
            Take();
        return there;
    }
}

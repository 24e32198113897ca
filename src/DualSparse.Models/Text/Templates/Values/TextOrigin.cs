namespace DualSparse.Models.Text.Templates;

/// <summary>Who wrote a character, from the one who is trusted most.</summary>
internal enum TextOrigin : byte
{
    /// <summary>The template, or a value of a closed list, such as a role's name.</summary>
    Template,

    /// <summary>An assistant's message: what the model wrote in an earlier turn, handed back by the caller.</summary>
    Model,

    /// <summary>The caller: other messages, tools, variables.</summary>
    Caller,
}

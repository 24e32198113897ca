namespace DualSparse.Models.Text.Templates;

/// <summary>What a piece of a model's answer is.</summary>
public enum AnswerDeltaKind
{
    /// <summary>Text for the reader.</summary>
    Content,

    /// <summary>What the model thought before it answered.</summary>
    Reasoning,

    /// <summary>A call of a tool begins: its id and name.</summary>
    ToolCall,

    /// <summary>Arguments of a call: JSON text, to be appended to what came before.</summary>
    Arguments,
}

/// <summary>A piece of a model's answer, in the order in which it came.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The text; empty where a call begins.</param>
/// <param name="Index">Which call it belongs to, from 0; -1 for text.</param>
/// <param name="Id">The call's id, where it begins.</param>
/// <param name="Name">The tool's name, where a call begins.</param>
public sealed record AnswerDelta(AnswerDeltaKind Kind, string Text, int Index = -1, string? Id = null, string? Name = null);

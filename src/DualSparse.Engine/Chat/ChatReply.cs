using System.Text;
using System.Text.Json;
using DualSparse.Engine.Serving;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;
using Microsoft.Extensions.AI;

namespace DualSparse.Engine.Chat;

/// <summary>An answer's tokens, put together into text, reasoning and calls of functions.</summary>
/// <param name="parser">Tells them apart.</param>
/// <param name="tokenizer">Knows special tokens, which may stand around calls and reasoning.</param>
internal sealed class ChatReply(ToolCallParser parser, Tokenizer tokenizer)
{
    private readonly StringBuilder arguments = new();
    private (string Id, string Name)? call;

    /// <summary>Whether functions were called.</summary>
    public bool Calls { get; private set; }

    /// <summary>Takes a token.</summary>
    /// <returns>What is certain with it; a call comes whole.</returns>
    public IList<AIContent> Take(GeneratedToken token)
    {
        var deltas = token.Text.Length == 0 ? [] : parser.Push(token.Text);
        return Contents(tokenizer.IsSpecial(token.Id) ? [.. deltas, .. parser.PushSpecial(tokenizer.TokenText(token.Id)!)] : deltas);
    }

    /// <summary>Ends the answer.</summary>
    /// <returns>What was still uncertain.</returns>
    public IList<AIContent> End()
    {
        var contents = Contents(parser.Finish());
        CloseCall(contents);
        return contents;
    }

    private List<AIContent> Contents(IReadOnlyList<AnswerDelta> deltas)
    {
        List<AIContent> contents = [];
        foreach (var delta in deltas)
        {
            if (delta.Kind == AnswerDeltaKind.Arguments)
            {
                arguments.Append(delta.Text);
                continue;
            }

            CloseCall(contents);
            if (delta.Kind == AnswerDeltaKind.ToolCall)
                call = (delta.Id!, delta.Name!);
            else
                contents.Add(delta.Kind == AnswerDeltaKind.Reasoning ? new TextReasoningContent(delta.Text) : new TextContent(delta.Text));
        }

        return contents;
    }

    // Arguments that are no JSON are the caller's to see: in the content's Exception.
    private void CloseCall(List<AIContent> contents)
    {
        if (call is not var (id, name))
            return;
        contents.Add(FunctionCallContent.CreateFromParsedArguments(arguments.ToString(), id, name, text => (IDictionary<string, object?>?)JsonSerializer.Deserialize(text, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, object?>)))));
        arguments.Clear();
        (call, Calls) = (null, true);
    }
}

using System.Text.Json;
using DualSparse.Engine.Serving;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>From what the model writes to what a message says: text, thoughts, and calls of functions.</summary>
/// <param name="tokenizer">The model's.</param>
/// <param name="template">How it writes calls and thoughts.</param>
/// <param name="prompt">The conversation.</param>
/// <param name="tools">The functions that it may call; null: none.</param>
/// <param name="parallel">Whether it may call several.</param>
internal sealed class AnswerText(Tokenizer tokenizer, ChatTemplate template, RenderedChat prompt, JsonElement? tools, bool parallel)
{
    private readonly ToolCallParser parser = new(template, prompt, tools);

    /// <summary>Whether functions were called.</summary>
    public bool Calls { get; private set; }

    /// <summary>Takes the model's next token.</summary>
    /// <returns>What is new of the message; empty: nothing is certain yet.</returns>
    public IReadOnlyList<ChatDelta> Push(GeneratedToken token)
    {
        List<AnswerDelta> deltas = [.. parser.Push(token.Text)];
        // Some models mark calls with tokens that are no text.
        if (tokenizer.IsSpecial(token.Id))
            deltas.AddRange(parser.PushSpecial(tokenizer.TokenText(token.Id)!));
        if (token.Finish is not null)
            deltas.AddRange(parser.Finish());
        return [.. deltas.Where(delta => parallel || delta.Index <= 0).Select(Delta)];
    }

    private ChatDelta Delta(AnswerDelta delta)
    {
        Calls |= delta.Kind == AnswerDeltaKind.ToolCall;
        return delta.Kind switch
        {
            AnswerDeltaKind.Reasoning => new ChatDelta { ReasoningContent = delta.Text },
            AnswerDeltaKind.ToolCall => new ChatDelta
            {
                ToolCalls = [new ToolCallDelta(delta.Index, new FunctionDelta { Name = delta.Name, Arguments = "" }) { Id = delta.Id ?? Ids.New("call_"), Type = "function" }],
            },
            AnswerDeltaKind.Arguments => new ChatDelta { ToolCalls = [new ToolCallDelta(delta.Index, new FunctionDelta { Arguments = delta.Text })] },
            _ => new ChatDelta { Content = delta.Text },
        };
    }
}

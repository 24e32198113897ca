using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>
/// Takes a model's answer apart while it is written: content, reasoning, and calls of tools. How a model writes them is known by its template
/// (see docs/templates.md for the formats); where it isn't, all is content. A call is given once it is whole; one that can't be read is content.
/// The result doesn't depend on how the text is cut. Not for several threads.
/// </summary>
public sealed class ToolCallParser
{
    private readonly AnswerReader reader;
    private bool finished;

    /// <summary>A parser for one answer.</summary>
    /// <param name="template">The model's template.</param>
    /// <param name="prompt">What the template made of the conversation: it may have opened the reasoning already.</param>
    /// <param name="tools">The tools of the request, an array; null: there are none, and nothing is a call.</param>
    public ToolCallParser(ChatTemplate template, RenderedChat prompt, JsonElement? tools = null)
    {
        ArgumentNullException.ThrowIfNull(template);
        ArgumentNullException.ThrowIfNull(prompt);
        var schemas = new ToolSchemas(tools);
        reader = prompt.TemplateSource.Contains(HarmonyReader.Mark, StringComparison.Ordinal)
            ? new HarmonyReader()
            : new MarkerReader(schemas.Any ? CallFormat.Of(prompt.TemplateSource) : null, ReasoningFormat.Of(prompt.TemplateSource), prompt.Text, schemas);
    }

    /// <summary>Takes text.</summary>
    /// <returns>What is certain now.</returns>
    /// <exception cref="InvalidOperationException">The answer is finished.</exception>
    public IReadOnlyList<AnswerDelta> Push(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        ObjectDisposedException.ThrowIf(finished, this);
        reader.Pending += text;
        reader.Advance(final: false);
        return reader.TakeDeltas();
    }

    /// <summary>Takes a special token, which is no text: it counts where the model marks calls or reasoning with it.</summary>
    /// <param name="token">The token, as the tokenizer writes it.</param>
    /// <returns>What is certain now.</returns>
    public IReadOnlyList<AnswerDelta> PushSpecial(string token) => Push(reader.IsMark(token) ? token : "");

    /// <summary>The answer is over.</summary>
    /// <returns>What was held back.</returns>
    public IReadOnlyList<AnswerDelta> Finish()
    {
        if (!finished)
            reader.Advance(final: true);
        finished = true;
        return reader.TakeDeltas();
    }
}

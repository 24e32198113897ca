using System.Text.Json.Nodes;
using DualSparse.Tests.Engine.Serving;

namespace DualSparse.Tests.Server;

/// <summary>
/// A model with a chat template that answers as it is asked to: what the last message says decides which of its texts it writes, so that a
/// test knows every answer. Its context is long, and it can write without an end.
/// </summary>
internal sealed class ScriptedModel : IDisposable
{
    /// <summary>What it answers to most messages.</summary>
    public const string Greeting = "Hello, dear world!";

    /// <summary>What it answers to a tool's result.</summary>
    public const string Weather = "It is sunny.";

    /// <summary>A message with this word is answered without an end, by one after another of <see cref="Endless"/>.</summary>
    public const string Forever = "forever";

    /// <summary>Tokens of a context: room for minutes of writing.</summary>
    public const int Context = 1 << 16;

    // What the prompt ends with, and the words that each leads to.
    private static readonly (string Begin, string[] Words)[] s_scripts =
    [
        ("<say>", ["Hello,", " dear", " world!"]),
        ("<tell>", ["It is", " sunny."]),
        ("<call>", ["<tool_call>", "\n{\"name\": \"get_weather\", ", "\"arguments\": {\"city\": \"Paris\"}}\n", "</tool_call>"]),
        ("<run>", ["one ", "two "]),
    ];

    private const string Template = """
        {%- for m in messages -%}
        <|im_start|>{{ m.role }} {{ m.content or '' }}{%- for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{%- endfor -%}<|im_end|>
        {%- endfor -%}
        {%- if add_generation_prompt -%}
        <|im_start|>assistant {% if messages[-1].role == 'tool' %}<tell>{% elif 'forever' in messages[-1].content %}<run>{% elif tools %}<call>{% else %}<say>{% endif -%}
        {%- endif -%}
        """;

    private readonly TableModel model;

    /// <summary>Writes it.</summary>
    public ScriptedModel()
    {
        string[] words = [.. s_scripts.SelectMany(s => s.Words.Prepend(s.Begin))];
        Dictionary<int, int> next = [];
        int at = 0;
        foreach (var (begin, script) in s_scripts)
        {
            for (int w = 0; w < script.Length; w++)
                next[TableModel.Word(at + w)] = TableModel.Word(at + w + 1);
            // The last one's last word leads back to its first.
            next[TableModel.Word(at + script.Length)] = begin == "<run>" ? TableModel.Word(at + 1) : TableModel.Id("</s>");
            at += script.Length + 1;
        }

        model = new TableModel(words, next, ("max_position_embeddings", JsonValue.Create(Context)));
        File.WriteAllText(model.In("chat_template.jinja"), Template);
    }

    /// <summary>The words of an endless answer, in turn.</summary>
    public static IReadOnlyList<string> Endless => s_scripts[^1].Words;

    /// <summary>Its folder.</summary>
    public string Path => model.Path;

    /// <inheritdoc/>
    public void Dispose() => model.Dispose();
}

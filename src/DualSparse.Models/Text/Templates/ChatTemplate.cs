using System.Runtime.InteropServices;
using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>
/// How a model wants a conversation written: a Jinja template, rendered as transformers does (<see href="https://jinja.palletsprojects.com"/>
/// with trim_blocks, lstrip_blocks, loop controls, sandboxed). Immutable, safe for several threads.
/// </summary>
public sealed class ChatTemplate
{
    private readonly IReadOnlyDictionary<string, TemplateProgram> programs;
    private readonly IReadOnlyDictionary<string, string> specialTokens;
    private readonly System.Collections.Concurrent.ConcurrentDictionary<TemplateProgram, TemplateTraits> traits = new();

    private ChatTemplate(IReadOnlyDictionary<string, TemplateProgram> programs, IReadOnlyDictionary<string, string> specialTokens)
    {
        (this.programs, this.specialTokens) = (programs, specialTokens);
        if (programs.Count == 0)
            throw new ChatTemplateException("the list of chat templates is empty");
    }

    /// <summary>The text of the template.</summary>
    public string Source => Program(withTools: false).Source;

    /// <summary>The template of a model's folder: chat_template.jinja, else the one in chat_template.json or tokenizer_config.json; null where there is none.</summary>
    /// <param name="folder">The folder; its tokenizer_config.json says what <c>bos_token</c> and the like are.</param>
    /// <exception cref="ModelFormatException">A file can't be read or is damaged.</exception>
    /// <exception cref="ChatTemplateException">The template can't be parsed.</exception>
    public static ChatTemplate? Find(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        folder = ModelPath.Follow(folder);
        return TemplateFiles.Find(folder) is { Count: > 0 } programs ? new(programs, SpecialTokens.Of(folder)) : null;
    }

    /// <summary>The template in a file: Jinja, or the <c>chat_template</c> of a JSON file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="folder">The model's folder, which says what <c>bos_token</c> and the like are; null: they are undefined.</param>
    /// <exception cref="ModelFormatException">A file can't be read or is damaged.</exception>
    /// <exception cref="ChatTemplateException">The template can't be parsed.</exception>
    public static ChatTemplate Read(string file, string? folder = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(file);
        return new(TemplateFiles.Open(file), folder is null ? NoTokens : SpecialTokens.Of(ModelPath.Follow(folder)));
    }

    /// <summary>A template that is given as text.</summary>
    /// <param name="source">The template.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="specialTokens">Tokens by the names that the template has for them, such as <c>bos_token</c>; null: none.</param>
    /// <exception cref="ChatTemplateException">It can't be parsed.</exception>
    public static ChatTemplate Parse(string source, string name = "chat template", IReadOnlyDictionary<string, string>? specialTokens = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new(new Dictionary<string, TemplateProgram> { ["default"] = new(source, name) }, specialTokens ?? NoTokens);
    }

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="ChatTemplateException">A message is not as it should be (the error names it), or the template can't render the conversation or refuses it.</exception>
    public RenderedChat Render(ChatRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var tools = request.Tools is { ValueKind: not (JsonValueKind.Null or JsonValueKind.Undefined) } given ? given : (JsonElement?)null;
        if (tools is { ValueKind: not JsonValueKind.Array })
            throw new ChatTemplateException("tools is no array");
        if (tools?.GetArrayLength() == 0)
            tools = null;
        var program = Program(tools is not null);
        var preparation = new MessagePreparation(program.Source, traits.GetOrAdd(program, static p => new TemplateTraits(p)), request.ReadsPictures);
        Dictionary<string, object?> variables = new(StringComparer.Ordinal)
        {
            // As transformers has it: what isn't given is None.
            ["tools"] = tools is { } array ? JsonValues.Of(array, TextOrigin.Caller, "tools") : null,
            ["documents"] = null,
        };
        foreach (var (name, token) in specialTokens)
            variables[name] = new MarkedText(token);
        long length = Length(request.Messages) + (tools is { } some ? Length(some) : 0);
        foreach (var (name, value) in request.Variables ?? new Dictionary<string, JsonElement>())
        {
            if (name is "messages" or "tools" or "add_generation_prompt")
                throw new ChatTemplateException($"the variable '{name}' of the chat template is the conversation's own and can't be given");
            length += Length(value);
            variables[name] = JsonValues.Of(value, TextOrigin.Caller, name);
        }

        variables["messages"] = preparation.Prepare(request.Messages);
        variables["add_generation_prompt"] = request.AddGenerationPrompt;
        var run = new TemplateRun(new Allowance(length), request.Now ?? DateTime.Now);
        return new(program.Render(run, variables), program.Source);
    }

    /// <summary>Renders a set of variables as it is, without preparing the messages in it: what is compared with other implementations.</summary>
    /// <param name="variables">An object: the variables.</param>
    /// <param name="now">What <c>strftime_now</c> gives.</param>
    /// <param name="askedTime">Whether the template asked for the time.</param>
    internal string RenderVariables(JsonElement variables, DateTime now, out bool askedTime)
    {
        askedTime = false;
        var run = new TemplateRun(new Allowance(Length(variables)), now);
        try
        {
            return Program(withTools: false).Render(run, variables.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, JsonValues.Of(p.Value, TextOrigin.Caller, p.Name)))).Value;
        }
        finally
        {
            askedTime = run.AskedTime;
        }
    }

    private static readonly Dictionary<string, string> NoTokens = [];

    private static long Length(JsonElement element) => element.ValueKind == JsonValueKind.Undefined ? 0 : JsonMarshal.GetRawUtf8Value(element).Length;

    private TemplateProgram Program(bool withTools) =>
        withTools && programs.TryGetValue("tool_use", out var forTools) ? forTools
            : programs.TryGetValue("default", out var program) ? program
            : programs.Values.First();
}

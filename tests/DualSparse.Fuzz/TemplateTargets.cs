using System.Text;
using System.Text.Json;
using DualSparse.Models;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;
using DualSparse.Tests;

namespace DualSparse.Fuzz;

/// <summary>Chat templates, conversations and answers that are damaged, or put together at random.</summary>
internal static class TemplateTargets
{
    private static readonly string[] s_templates = [.. Directory.EnumerateFiles(TestPaths.Golden("templates", "templates")).Order(StringComparer.Ordinal).Select(File.ReadAllText)];

    private static readonly string[] s_snippets =
    [
        .. File.ReadLines(TestPaths.Golden("templates", "snippets.jsonl")).Select(line => JsonElement.Parse(line).GetProperty("template").GetString()!).Where(source => source.Length > 0),
    ];

    private static readonly JsonElement s_variables = JsonElement.Parse(File.ReadAllText(TestPaths.Golden("templates", "variables.json")));
    private static readonly JsonElement s_cases = JsonElement.Parse(File.ReadAllText(TestPaths.Golden("templates", "cases.json")));
    private static readonly ChatTemplate[] s_parsed = [.. s_templates.Select(source => ChatTemplate.Parse(source))];
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(TestPaths.Golden("tokenizer", "qwen"));
    private static readonly HashSet<int> s_special = [.. Enumerable.Range(0, s_tokenizer.VocabularySize).Where(s_tokenizer.IsSpecial)];

    // The marks by which formats of calls are known, with an answer in each.
    private static readonly (string Marks, string Answer)[] s_answers =
    [
        ("<tool_call> <think>", "<think>\na</think> b <tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call> c"),
        ("<parameter=", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"),
        ("<arg_key>", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>"),
        ("[TOOL_CALLS] [THINK]", "[THINK]x[/THINK][TOOL_CALLS]f[CALL_ID]abc[ARGS]{\"a\":1}[TOOL_CALLS][{\"name\":\"g\"}]"),
        ("<|python_tag|>", "{\"name\": \"f\", \"parameters\": {\"a\": \"\\ud800\"}}"),
        ("<｜tool▁call▁begin｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
        ("｜DSML｜", "<｜DSML｜function_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" string=\"false\">1</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>"),
        ("<|channel|>", "<|channel|>analysis<|message|>a<|end|><|start|>assistant to=functions.f<|channel|>commentary json<|message|>{\"a\":1}<|call|>"),
    ];

    // A template may ask for as many steps as a rendering has, and each makes something short-lived.
    private const long MostBytes = 16L << 30;

    public static readonly FuzzTarget[] All =
    [
        new("template", [.. s_templates.Select(Encoding.UTF8.GetBytes)], input => Render(Text(input), s_cases.GetProperty("calls_text"))) { MaxAllocatedBytes = MostBytes },
        new("expression", [.. s_snippets.Select(Encoding.UTF8.GetBytes)], ReadExpressions) { MaxAllocatedBytes = MostBytes },
        new("program", [new byte[16]], input => Render(new TemplateGrammar(new Random(Seed(input))).Template(), s_variables)) { MaxAllocatedBytes = MostBytes },
        new("messages", [.. s_cases.EnumerateObject().Select(c => Encoding.UTF8.GetBytes(c.Value.GetProperty("messages").GetRawText()))], ReadMessages),
        new("answer", [.. s_answers.Select(a => Encoding.UTF8.GetBytes(a.Answer))], ReadAnswer),
    ];

    private static int Seed(byte[] input) => input.Aggregate(17, (seed, b) => unchecked((seed * 31) + b));

    private static string Text(byte[] input) => Encoding.UTF8.GetString(input);

    // A refusal has to be a sentence; the targets' common word for one is ModelFormatException.
    private static string Render(string source, JsonElement variables)
    {
        try
        {
            return ChatTemplate.Parse(source).RenderVariables(variables, DateTime.UnixEpoch, out _);
        }
        catch (ChatTemplateException e)
        {
            throw new ModelFormatException(e.Message, e);
        }
    }

    // Several snippets behind each other: the first is damaged, the others are chosen by it.
    private static void ReadExpressions(byte[] input)
    {
        var source = new StringBuilder(Text(input));
        var random = new Random(input.Length == 0 ? 0 : (input[0] * 977) + input.Length);
        for (int i = random.Next(3); i > 0; i--)
            source.Append(s_snippets[random.Next(s_snippets.Length)]);
        Render(source.ToString(), s_variables);
    }

    // Whatever the messages are, no control token comes of them that isn't the template's.
    private static void ReadMessages(byte[] input)
    {
        JsonElement messages;
        try
        {
            messages = JsonElement.Parse(input);
        }
        catch (JsonException e)
        {
            throw new ModelFormatException("it is no JSON", e);
        }

        string? refused = null;
        foreach (var template in s_parsed)
        {
            try
            {
                var chat = template.Render(new ChatRequest { Messages = messages });
                string own = string.Concat(chat.Segments.Where(segment => !segment.FromUser).Select(segment => segment.Text + "\0"));
                int most = s_tokenizer.Encode(own, addSpecial: false).Count(s_special.Contains), found = s_tokenizer.Encode(chat).Count(s_special.Contains);
                if (found > most)
                    throw new InvalidOperationException($"{found} control tokens, the template wrote {most}");
            }
            catch (ChatTemplateException e)
            {
                refused = e.Message;
            }
        }

        if (refused is not null)
            throw new ModelFormatException(refused);
    }

    private static void ReadAnswer(byte[] input)
    {
        string answer = Text(input);
        foreach (var (marks, _) in s_answers)
        {
            var template = ChatTemplate.Parse($"{{{{ '{marks}' if false }}}}");
            var chat = template.Render(new ChatRequest { Messages = JsonElement.Parse("""[{"role":"user","content":"q"}]""") });
            var tools = JsonElement.Parse("""[{"type":"function","function":{"name":"f"}}]""");
            string whole = Read(new ToolCallParser(template, chat, tools), [answer]);
            int cut = answer.Length / 3;
            string parts = Read(new ToolCallParser(template, chat, tools), [answer[..cut], answer[cut..]]);
            if (whole != parts)
                throw new InvalidOperationException($"cut at {cut} it is {parts}, whole {whole}");
        }
    }

    private static string Read(ToolCallParser parser, IEnumerable<string> pieces)
    {
        var kinds = pieces.SelectMany(parser.Push).ToList();
        kinds.AddRange(parser.Finish());
        var result = new StringBuilder();
        AnswerDeltaKind? last = null;
        foreach (var delta in kinds)
        {
            if (delta.Kind != last)
                result.Append('[').Append(delta.Kind).Append(']');
            last = delta.Kind;
            result.Append(delta.Name).Append(delta.Text);
        }

        return result.ToString();
    }
}

using System.Text;
using System.Text.Json;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Tests.Text.Templates;

/// <summary>Answers are taken apart alike however they are cut.</summary>
public class ToolCallParserTests
{
    private static readonly JsonElement s_tools = JsonElement.Parse("""
        [{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"},"s":{"type":"string"},"o":{"type":"object"}}}}},
        {"type":"function","function":{"name":"g"}}]
        """);

    // The marks by which a template is known, the prompt's end, the answer, and what it is: content in quotes, reasoning in ~ ~, calls.
    public static TheoryData<string, string, string, string> Samples => new()
    {
        { "", "", " Just <tool_call>text</tool_call>. \n", "\" Just <tool_call>text</tool_call>. \n\"" },
        { "<tool_call>", "", "Hello, <b>you</b> <tool! \n", "\"Hello, <b>you</b> <tool! \n\"" },
        { "<tool_call>", "", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "f{\"a\": 1}" },
        { "<tool_call>", "", "Let me see.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"</tool_call>\"}}\n</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":\"{}\"}</tool_call> done", "\"Let me see.\"f{\"s\": \"</tool_call>\"}g{}\"done\"" },
        { "<tool_call>", "", "x <tool_call>{\"name\": broken</tool_call> y", "\"x <tool_call>{\"name\": broken</tool_call> y\"" },
        { "<tool_call>", "", "<tool_call>{\"name\": \"g\"}", "g{}" },
        { "<tool_call>", "", "<tool_call>{\"name\": \"g\", \"argum", "\"<tool_call>{\"name\": \"g\", \"argum\"" },
        { "<tool_call> </think>", "", "<think>\nI think <b>\n</think>\n\nanswer <think>not</think>", "~I think <b>~\"answer <think>not</think>\"" },
        { "<tool_call> <think>", "<think>\n", "so\n\nit is\n</think>\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "~so\n\nit is~f{}" },
        { "<think>", "<think>", "never ends ", "~never ends~" },
        { "<think>", "", "  <thinking> aloud", "\"  <thinking> aloud\"" },
        { "[THINK] [TOOL_CALLS]", "", "[THINK]hm[/THINK]Hi [TOOL_CALLS]f[ARGS]{\"a\": 2}[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}", "~hm~\"Hi\"f{\"a\": 2}g{}" },
        { "[TOOL_CALLS]", "", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"s\": \"[TOOL_CALLS]\"}, \"id\": \"abcdefghi\"}, {\"name\": \"g\", \"arguments\": {}}]", "f{\"s\": \"[TOOL_CALLS]\"}g{}" },
        { "<function=x <parameter=x", "", "I call\n<tool_call>\n<function=f>\n<parameter=a>\n5\n</parameter>\n<parameter=s>\n5\nlines </b>\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=g>\n</function>\n</tool_call>", "\"I call\"f{\"a\":5,\"s\":\"5\\nlines </b>\"}g{}" },
        { "<function=x <parameter=x", "", "<function=f>\n<parameter=o>\n{\"x\": [1]}\n</parameter>\n</function>", "f{\"o\":{\"x\":[1]}}" },
        { "<arg_key>", "", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>7</arg_value>\n<arg_key>s</arg_key>\n<arg_value>7</arg_value>\n</tool_call><tool_call>g\n</tool_call>", "f{\"a\":7,\"s\":\"7\"}g{}" },
        { "<|python_tag|>", "", "{\"name\": \"f\", \"parameters\": {\"a\": 3}}", "f{\"a\": 3}" },
        { "<|python_tag|>", "", "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}", "f{}g{}" },
        { "<|python_tag|>", "", "{\"name\": \"Bob\", \"parameters\": {}}", "\"{\"name\": \"Bob\", \"parameters\": {}}\"" },
        { "<|python_tag|>", "", "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "f{}" },
        { "<｜tool▁call▁begin｜> </think>", "", "Sure. <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "\"Sure.\"f{\"a\": 1}g{}" },
        { "<｜tool▁call▁begin｜>", "", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "f{\"a\": 1}" },
        { "｜DSML｜", "", "ok\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"s\" string=\"true\">5</｜DSML｜parameter>\n<｜DSML｜parameter name=\"a\" string=\"false\">5</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>", "\"ok\"f{\"s\":\"5\",\"a\":5}" },
        { "<|tool_call_begin|>", "", "a<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", "\"a\"f{\"a\": 1}g{}" },
        { "<|START_ACTION|>", "", "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}]<|END_ACTION|>", "f{\"a\": 1}" },
        { "<|tools_prefix|>", "", "<|tools_prefix|>[{\"f\": {\"a\": 1}}, {\"g\": {}}]<|tools_suffix|>", "f{\"a\": 1}g{}" },
        { "<|tool_call|>", "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", "f{\"a\": 1}" },
        { "<|channel|>", "<|start|>assistant", "<|channel|>analysis<|message|>hm, 1 < 2<|end|><|start|>assistant<|channel|>final<|message|>Yes.\n<|return|>", "~hm, 1 < 2~\"Yes.\n\"" },
        { "<|channel|>", "<|start|>assistant", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>", "~hm~f{\"a\": 1}" },
        { "<|channel|>", "<|start|>assistant", " to=functions.g<|channel|>commentary json<|message|>{}", "g{}" },
        { "<|channel|>", "<|start|>assistant", "no channel at all", "\"no channel at all\"" },
    };

    [Theory, MemberData(nameof(Samples))]
    public void Every_cut_gives_the_same(string marks, string prompt, string answer, string expected)
    {
        Assert.Equal(expected, Read(marks, prompt, [answer]));
        Assert.Equal(expected, Read(marks, prompt, answer.Select(c => c.ToString())));
        for (int i = 0; i <= answer.Length; i++)
        {
            Assert.Equal(expected, Read(marks, prompt, [answer[..i], answer[i..]]));
            int second = Math.Min(answer.Length, i + 7);
            Assert.Equal(expected, Read(marks, prompt, [answer[..i], answer[i..second], "", answer[second..]]));
        }
    }

    [Fact]
    public void Without_tools_nothing_is_a_call()
    {
        var (template, chat) = Template("<tool_call>", "");
        var parser = new ToolCallParser(template, chat);
        const string answer = "<tool_call>{\"name\": \"f\"}</tool_call>";
        Assert.Equal([new AnswerDelta(AnswerDeltaKind.Content, answer)], [.. parser.Push(answer), .. parser.Finish()]);
        Assert.Throws<ObjectDisposedException>(() => parser.Push("x"));
    }

    [Fact]
    public void Special_tokens_count_where_they_are_marks()
    {
        var (template, chat) = Template("[TOOL_CALLS]", "");
        var parser = new ToolCallParser(template, chat, s_tools);
        Assert.Empty(parser.PushSpecial("</s>"));
        Assert.Equal("Hi", Assert.Single(parser.Push("Hi")).Text);
        Assert.Empty(parser.PushSpecial("[TOOL_CALLS]"));
        parser.Push("f");
        parser.PushSpecial("[ARGS]");
        parser.Push("{}");
        var calls = parser.Finish();
        Assert.Equal(("f", 0), (calls[0].Name, calls[0].Index));
        Assert.Equal(9, calls[0].Id!.Length);
    }

    [Fact]
    public void Text_isnt_held_back_longer_than_it_must()
    {
        var (template, chat) = Template("<tool_call>", "");
        var parser = new ToolCallParser(template, chat, s_tools);
        Assert.Equal("Hello", Assert.Single(parser.Push("Hello <")).Text);
        Assert.Equal(" <b", Assert.Single(parser.Push("b")).Text);
        Assert.Equal(">", Assert.Single(parser.Push("> ")).Text);
        Assert.Equal(" ", Assert.Single(parser.Finish()).Text);
    }

    private static (ChatTemplate Template, RenderedChat Chat) Template(string marks, string prompt)
    {
        var template = ChatTemplate.Parse($"{{{{ '{marks}' if false }}}}{prompt}");
        return (template, template.Render(new ChatRequest { Messages = JsonElement.Parse("""[{"role":"user","content":"q"}]""") }));
    }

    private static string Read(string marks, string prompt, IEnumerable<string> pieces)
    {
        var (template, chat) = Template(marks, prompt);
        var parser = new ToolCallParser(template, chat, s_tools);
        var result = new StringBuilder();
        AnswerDeltaKind? open = null;
        int calls = 0;
        foreach (var delta in pieces.SelectMany(parser.Push).ToList().Concat(parser.Finish()))
        {
            string quote = delta.Kind switch { AnswerDeltaKind.Content => "\"", AnswerDeltaKind.Reasoning => "~", _ => "" };
            if (open != delta.Kind)
                result.Append(open switch { AnswerDeltaKind.Content => "\"", AnswerDeltaKind.Reasoning => "~", _ => "" }).Append(quote);
            open = delta.Kind;
            if (delta.Kind == AnswerDeltaKind.ToolCall)
            {
                Assert.Equal(calls++, delta.Index);
                Assert.False(string.IsNullOrEmpty(delta.Id));
            }

            result.Append(delta.Name).Append(delta.Text);
        }

        return result.Append(open switch { AnswerDeltaKind.Content => "\"", AnswerDeltaKind.Reasoning => "~", _ => "" }).ToString();
    }
}

using System.Text.Json;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Tests.Text.Templates;

/// <summary>Messages as they come over the wire become what templates expect, or are refused by name.</summary>
public class MessageTests
{
    private const string Dump = "{% for m in messages %}{{ m | tojson }}{% endfor %}";

    [Theory]
    [InlineData("""[{"role":"developer","content":"d"}]""", """{"role": "system", "content": "d"}""")]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"a "},{"type":"input_text","text":"b"}]}]""", """{"role": "user", "content": "a b"}""")]
    [InlineData("""[{"role":"assistant","content":"x","tool_calls":[]}]""", """{"role": "assistant", "content": "x"}""")]
    [InlineData("""[{"role":"assistant","content":null}]""", """{"role": "assistant", "content": ""}""")]
    [InlineData("""[{"role":"assistant","content":"x","reasoning":"r"}]""", """{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "r"}""")]
    [InlineData("""[{"role":"tool","tool_call_id":"1","content":"x","name":"f"}]""", """{"role": "tool", "content": "x", "tool_call_id": "1", "name": "f"}""")]
    [InlineData("""[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]}]""",
        """{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]}""")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":""}}]}]""",
        """{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}, "type": "function"}]}""")]
    public void Messages_are_prepared(string messages, string expected) => Assert.Equal(expected, Render(Dump, messages));

    [Theory]
    [InlineData("5", "messages is no array")]
    [InlineData("[]", "messages is empty, expected at least one message")]
    [InlineData("[5]", "messages[0] is no object")]
    [InlineData("""[{"content":"x"}]""", "messages[0].role is missing, expected a string such as 'user'")]
    [InlineData("""[{"role":"user","content":"x"},{"role":"user"}]""", "messages[1].content is missing, expected a string or a list of parts")]
    [InlineData("""[{"role":"user","content":null}]""", "messages[0].content is null, expected a string or a list of parts")]
    [InlineData("""[{"role":"user","content":{"a":1}}]""", "messages[0].content is {\"a\":1}, expected a string or a list of parts")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]""", "messages[0].content[0].type is 'image_url', expected 'text': this model reads text alone")]
    [InlineData("""[{"role":"user","content":[{"type":"text"}]}]""", "messages[0].content[0].text is missing, expected a string")]
    [InlineData("""[{"role":"user","content":[7]}]""", "messages[0].content[0] is no part of a content: expected an object with 'type' and 'text'")]
    [InlineData("""[{"role":"user","content":"\ud800"}]""", "messages[0].content holds a string that is not valid Unicode")]
    [InlineData("""[{"role":"assistant","tool_calls":{}}]""", "messages[0].tool_calls is {}, expected an array")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"id":"1"}]}]""", "messages[0].tool_calls[0].function is missing, expected an object with 'name' and 'arguments'")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"function":{"name":5}}]}]""", "messages[0].tool_calls[0].function.name is 5, expected a string")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\""}}]}]""", "messages[0].tool_calls[0].function.arguments is '{\"a\"', expected a JSON object")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[1]}}]}]""", "messages[0].tool_calls[0].function.arguments is '[1]', expected a JSON object")]
    public void A_wrong_message_is_named(string messages, string expected) =>
        Assert.Equal(expected, Assert.Throws<ChatTemplateException>(() => Render(Dump, messages)).Message);

    [Fact]
    public void Wrong_tools_and_variables_are_named()
    {
        var request = new ChatRequest { Messages = JsonElement.Parse("""[{"role":"user","content":"x"}]""") };
        var template = ChatTemplate.Parse(Dump);
        Assert.Equal("tools is no array", Assert.Throws<ChatTemplateException>(() => template.Render(request with { Tools = JsonElement.Parse("{}") })).Message);
        Assert.Contains("the variable 'messages'", Assert.Throws<ChatTemplateException>(() => template.Render(request with
        {
            Variables = new Dictionary<string, JsonElement> { ["messages"] = JsonElement.Parse("[]") },
        })).Message);
    }

    private const string Call = """[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]}]""";

    // Templates differ in what a message with calls has for content, and in what arguments are.
    [Theory]
    [InlineData("{% for m in messages %}{% if m.content is none %}[{{ m.tool_calls[0].function.name }}{{ m.tool_calls[0].function.arguments | tojson }}]{% else %}{{ m.content }}{% endif %}{% endfor %}", "q[f{\"a\": 1}]")]
    [InlineData("{% for m in messages %}{% if 'content' in m %}{{ m.content + '!' }}{% endif %}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}", "q!f{\"a\": 1}")]
    [InlineData("{% for m in messages %}{{ m.content + '!' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}", "q!!f{\"a\": 1}")]
    [InlineData("{% for m in messages %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}", "qf{\"a\": 1}")]
    [InlineData("{% for m in messages %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments }}{% endfor %}{% endfor %}", "qf{\"a\": 1}")]
    [InlineData("{% for m in messages %}{% for p in m.content or [] %}{{ p.text }}{% endfor %}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}", "qf{\"a\": 1}")]
    [InlineData("{% for m in messages %}{{ m.content }},{% endfor %}", "q,None,")]
    public void What_a_template_expects_is_found_out(string source, string expected) => Assert.Equal(expected, Render(source, Call));

    [Fact]
    public void A_template_that_knows_developers_gets_them() =>
        Assert.Equal("developer", Render("{% if messages[0].role == 'developer' %}{{ messages[0].role }}{% endif %}", """[{"role":"developer","content":"d"}]"""));

    private static string Render(string source, string messages) => ChatTemplate.Parse(source).Render(new ChatRequest { Messages = JsonElement.Parse(messages) }).Text;
}

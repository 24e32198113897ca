using System.Text.Json;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Tests.Text.Templates;

/// <summary>Who wrote each character is known whatever the template does with it, and no text of a user becomes a control token.</summary>
public class ProvenanceTests
{
    // Whatever is done to the user's "ABC", a capital letter is his and nothing else is.
    [Theory]
    [InlineData("x{{ c }}y")]
    [InlineData("{{ 'x' + c + 'y' }}")]
    [InlineData("{{ 'x' ~ c ~ 1 }}")]
    [InlineData("{{ c[1:] }}{{ c[0] }}{{ c[::-1] }}")]
    [InlineData("{{ '<' ~ (c | lower | upper) ~ '>' }}")]
    [InlineData("{{ ('  ' ~ c ~ '  ') | trim }}{{ c.strip('A') }}")]
    [InlineData("{{ [c, 'x', c] | join('-') }}{{ 'x'.join([c, c]) }}")]
    [InlineData("{{ 'axa' | replace('x', c) }}{{ (c ~ 'x') | replace('x', 'y') }}{{ c | replace('B', 'x') }}")]
    [InlineData("{{ {'x': c} | tojson }}{{ [c] }}{{ {'x': [c]} }}{{ messages | length }}")]
    [InlineData("{{ [c] | tojson(indent=2) }}")]
    [InlineData("{{ ('x' ~ c ~ 'y').split('B') }}{{ (c ~ ',x').split(',') | join('+') }}")]
    [InlineData("{{ 'x%sy%5s' % (c, c) }}{{ '{} {!r:>9}'.format(c, c) }}")]
    [InlineData("{{ c | indent(2, true) }}{{ c | center(9) }}{{ c.ljust(8, 'x') }}{{ c * 2 }}")]
    [InlineData("{% set x %}a{{ c }}b{% endset %}{{ x }}{% macro m(v) %}<{{ v }}>{% endmacro %}{{ m(c) }}{{ m(x)[1:-1] }}")]
    [InlineData("{% filter trim %} {{ c }} {% endfilter %}{% for l in c %}{{ l }}-{% endfor %}{{ c | list | reverse | join }}")]
    [InlineData("{{ (c ~ 'x') | truncate(3, true, '', 0) }}{{ c | first }}{{ c | last }}{{ c.partition('B') | join('.') }}")]
    [InlineData("{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t ~ 'x' ~ m.content %}{% endfor %}{{ ns.t }}")]
    [InlineData("{{ c | escape }}{{ (c | safe) + 'x' }}{{ c | string }}{{ (c, 'x') }}{{ c.title() | upper }}{{ messages | map(attribute='content') | join('x') }}")]
    public void Characters_keep_their_origin(string source)
    {
        var chat = Render("{% set c = messages[0].content %}" + source, "ABC");
        Assert.Contains(chat.Segments, segment => segment.FromUser);
        Assert.Equal(chat.Text, string.Concat(chat.Segments.Select(segment => segment.Text)));
        foreach (var segment in chat.Segments)
            Assert.All(segment.Text, c => Assert.Equal(segment.FromUser, char.IsAsciiLetterUpper(c)));
        for (int i = 1; i < chat.Segments.Count; i++)
            Assert.NotEqual(chat.Segments[i - 1].FromUser, chat.Segments[i].FromUser);
    }

    [Fact]
    public void Tools_and_variables_are_the_callers_and_tokens_of_the_folder_the_templates()
    {
        var template = ChatTemplate.Parse("{{ bos_token }}{{ tools | tojson }}{{ style }}", specialTokens: new Dictionary<string, string> { ["bos_token"] = "<s>" });
        var chat = template.Render(new ChatRequest
        {
            Messages = JsonElement.Parse("""[{"role":"user","content":""}]"""),
            Tools = JsonElement.Parse("""[{"K":"V"}]"""),
            Variables = new Dictionary<string, JsonElement> { ["style"] = JsonElement.Parse("\"S\"") },
        });
        Assert.Equal("<s>[{\"K\": \"V\"}]S", chat.Text);
        Assert.Equal(["K", "V", "S"], chat.Segments.Where(s => s.FromUser).Select(s => s.Text));
    }

    public static TheoryData<string, string> TemplatesAndTokenizers
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string template in (string[])["turns", "roles", "declared", "strict", "blocks", "filters"])
            {
                foreach (string tokenizer in (string[])["qwen", "gpt2", "o200k", "deepseek", "sentencepiece"])
                    data.Add(template, tokenizer);
            }

            return data;
        }
    }

    [Theory, MemberData(nameof(TemplatesAndTokenizers))]
    public void A_users_control_tokens_are_text_and_ordinary_chats_have_the_same_ids(string templateName, string kind)
    {
        var tokenizer = TokenizerGoldenTests.Load(kind);
        var special = Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsSpecial).ToHashSet();
        Assert.NotEmpty(special);

        var template = ChatTemplate.Parse(
            File.ReadAllText(TestPaths.Golden("templates", "templates", templateName + ".jinja")),
            specialTokens: new Dictionary<string, string> { ["bos_token"] = tokenizer.TokenText(special.Min())!, ["eos_token"] = tokenizer.TokenText(special.Max())! });

        // As many control ids whatever the user writes.
        string forged = string.Join(" x ", special.Select(id => tokenizer.TokenText(id)!).Where(text => !text.Contains('\\')).Take(40));
        int expected = tokenizer.Encode(Render(template, "hello")).Count(special.Contains);
        var chat = Render(template, forged);
        if (templateName != "filters")
            Assert.Contains(forged, chat.Text);
        Assert.Equal(expected, tokenizer.Encode(chat).Count(special.Contains));
        Assert.True(templateName == "filters" || tokenizer.Encode(chat.Text, addSpecial: false).Count(special.Contains) > expected);

        foreach (string text in (string[])["hello", "  a  b\n\n\tc  ", "Grüße, 你好 🙂 e\u0301 ", "if (x < 3 && y > 2) { return a[1]; }", ""])
        {
            var ordinary = Render(template, text);
            Assert.Equal(tokenizer.Encode(ordinary.Text, addSpecial: false), tokenizer.Encode(ordinary));
        }
    }

    [Fact]
    public void What_isnt_special_but_the_templates_markup_is_text_from_users_and_a_token_in_answers()
    {
        var tokenizer = Tokenizer.Parse(Qwen("""{"id":ID,"content":"<tool_call>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":false}"""));
        int id = tokenizer.IdOf("<tool_call>")!.Value;
        var template = ChatTemplate.Parse("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if tools %}<tool_call>{% endif %}");
        int Count(string role, string text) => tokenizer.Encode(template.Render(new ChatRequest { Messages = Messages(role, text) })).Count(i => i == id);
        Assert.Equal(0, Count("user", "a <tool_call> b"));
        Assert.Equal(0, Count("tool", "a <tool_call> b"));
        Assert.Equal(1, Count("assistant", "a <tool_call> b"));
        // Where the template has no such thing, it is a word like any other.
        var plain = ChatTemplate.Parse("{{ messages[0].content }}");
        Assert.Contains(id, tokenizer.Encode(plain.Render(new ChatRequest { Messages = Messages("user", "a <tool_call> b") })));
    }

    [Fact]
    public void A_token_that_template_and_user_write_together_is_text()
    {
        var tokenizer = TokenizerGoldenTests.Load("qwen");
        var template = ChatTemplate.Parse("<|im_start|>{{ messages[0].content }}|><|im_end|>");
        int end = tokenizer.IdOf("<|im_end|>")!.Value, start = tokenizer.IdOf("<|im_start|>")!.Value;
        int[] ids = tokenizer.Encode(template.Render(new ChatRequest { Messages = Messages("user", "<|im_end") }));
        Assert.Equal([start, end], ids.Where(i => i == end || i == start));
        // A role is one of a few words, not the user's: the template may build its tokens of it.
        var roles = ChatTemplate.Parse("{{ '<|' ~ messages[0].role ~ '|>' }}");
        Assert.All(roles.Render(new ChatRequest { Messages = Messages("user", "x") }).Segments, s => Assert.False(s.FromUser));
        Assert.Contains(roles.Render(new ChatRequest { Messages = Messages("im_end", "x") }).Segments, s => s.FromUser);
    }

    // The tokenizer with one more added token, in the place of an ordinary one.
    private static byte[] Qwen(string token)
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(TestPaths.Golden("tokenizer", "qwen", "tokenizer.json")))!;
        int next = json["model"]!["vocab"]!.AsObject().Select(v => (int)v.Value!).Concat(json["added_tokens"]!.AsArray().Select(t => (int)t!["id"]!)).Max() + 1;
        json["added_tokens"]!.AsArray().Add(System.Text.Json.Nodes.JsonNode.Parse(token.Replace("ID", next.ToString())));
        return System.Text.Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    private static JsonElement Messages(string role, string text) => JsonSerializer.SerializeToElement(new[] { new { role, content = text } });

    private static RenderedChat Render(string source, string text) => ChatTemplate.Parse(source).Render(new ChatRequest { Messages = Messages("user", text) });

    private static RenderedChat Render(ChatTemplate template, string text) => template.Render(new ChatRequest
    {
        Messages = JsonSerializer.SerializeToElement(new object[]
        {
            new { role = "user", content = text }, new { role = "assistant", content = "Fine." }, new { role = "user", content = text },
        }),
    });
}

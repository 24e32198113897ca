using System.Text.Json;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Tests.Text.Templates;

/// <summary>Errors say where, and no template can hang or fill the memory.</summary>
public class TemplateErrorTests
{
    [Theory]
    [InlineData("a\n{% if x %}", "t:2:11: expected 'endif', found the end of the template")]
    [InlineData("a\n  {{ x y }}", "t:2:8: expected '}}', found 'y'")]
    [InlineData("{% foo %}", "t:1:4: there is no block 'foo'")]
    [InlineData("{% include 'x' %}", "t:1:4: the block 'include' isn't supported in chat templates")]
    [InlineData("{% break %}", "t:1:4: 'break' stands outside a loop")]
    [InlineData("{{ 1 | foo }}", "t:1:8: no filter named 'foo'")]
    [InlineData("{{ 1 is foo }}", "t:1:9: no test named 'foo'")]
    [InlineData("{{ 'a", "t:1:4: the string has no end")]
    [InlineData("{{ a ! b }}", "t:1:6: unexpected character '!'")]
    [InlineData("{{ (1] }}", "t:1:6: unexpected ']'")]
    [InlineData("{# x", "t:1:1: the comment has no end '#}'")]
    [InlineData("{{ '\\xg' }}", "t:1:5: '\\x' in a string needs 2 hexadecimal digits of a character")]
    public void A_template_that_is_none_is_refused_with_its_place(string source, string expected) =>
        Assert.Equal(expected, Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source, "t")).Message);

    [Theory]
    [InlineData("a\r\n\r\n{{ 'x' + 1 }}", "t:3:8: can only concatenate str (not \"int\") to str")]
    [InlineData("{{ foo.bar }}", "t:1:7: 'foo' is undefined")]
    [InlineData("{{ messages.append(1) }}", "t:1:12: access to attribute 'append' of 'list' object is unsafe")]
    [InlineData("{% for m in messages %}\n{{ m.content.nope() }}{% endfor %}", "t:2:13: 'str object' has no attribute 'nope'")]
    [InlineData("{{ range(1000000) }}", "t:1:9: range too big: the sandbox allows at most 100000 numbers")]
    public void A_rendering_that_fails_says_where(string source, string expected)
    {
        var error = Assert.Throws<ChatTemplateException>(() => Render(source));
        Assert.Equal(expected, error.Message);
        Assert.False(error.RaisedByTemplate);
    }

    [Fact]
    public void A_template_refuses_in_its_own_words()
    {
        var error = Assert.Throws<ChatTemplateException>(() => Render("{{ raise_exception('Roles must alternate: ' ~ messages[0].role) }}"));
        Assert.Equal("Roles must alternate: user", error.Message);
        Assert.True(error.RaisedByTemplate);
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{% for a in range(100000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}")]
    [InlineData("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}")]
    [InlineData("{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}")]
    [InlineData("{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}")]
    [InlineData("{{ 'x' * 10000000000 }}")]
    [InlineData("{{ [1] * 10000000000 }}")]
    [InlineData("{{ 'x' * 1000000 * 1000000 }}")]
    [InlineData("{{ 'x' * 9223372036854775807 }}{{ 'xxxx' * 9223372036854775807 }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l | list }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}")]
    [InlineData("{% set ns = namespace(l=()) %}{% for i in range(90000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}")]
    [InlineData("{% set ns = namespace(l=()) %}{% for i in range(60) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}")]
    [InlineData("{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}")]
    [InlineData("{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('x', 'xx') %}{% endfor %}{{ ns.s }}")]
    [InlineData("{{ 'x' | center(2000000000) }}")]
    [InlineData("{{ 'x'.ljust(2000000000) }}{{ 'x'.zfill(2000000000) }}")]
    [InlineData("{{ '%2000000000d' % 1 }}")]
    [InlineData("{{ '{:>2000000000}'.format(1) }}")]
    [InlineData("{{ 'a\\nb' | indent(2000000000) }}")]
    [InlineData("{{ '\\t'.expandtabs(2000000000) }}")]
    [InlineData("{{ [1] | batch(2000000000, 0) | list }}")]
    [InlineData("{{ [1] | slice(2000000000) | list }}")]
    [InlineData("{{ 9 ** 9 ** 9 ** 9 }}")]
    [InlineData("{% set ns = namespace(n=9) %}{% for i in range(1000) %}{% set ns.n = ns.n * ns.n %}{% endfor %}")]
    [InlineData("{% set big = 'ab' * 4000000 %}{% for i in range(100000) %}{{ 'c' in big }}{{ big.find('c') }}{{ big.count('c') }}{{ big == big ~ '' }}{% endfor %}")]
    [InlineData("{% set big = 'ab ' * 1000000 %}{% for i in range(100000) %}{% set x = big.split() %}{{ big | upper | length }}{{ big | striptags | length }}{% endfor %}")]
    [InlineData("{% set big = '<' * 1000000 %}{{ big | striptags }}{% for i in range(1000) %}{{ big | striptags | length }}{% endfor %}")]
    [InlineData("{% set l = range(90000) | list %}{% for i in range(90000) %}{{ l.index(89999) }}{{ 90001 in l }}{% endfor %}")]
    [InlineData("{% set l = range(90000) | list %}{% for i in range(90000) %}{{ l | max }}{{ l | sort | length }}{% endfor %}")]
    [InlineData("{{ '%1000000000.1000000000f' % 1.5 }}")]
    [InlineData("{% set text = 'a' * 4000000 %}{% set part = 'a' * 2000000 ~ 'b' ~ 'a' * 1000000 %}{% for i in range(1000) %}{{ part in text }}{% endfor %}")]
    [InlineData("{% set text = 'a' * 4000000 %}{% set part = 'a' * 1000000 ~ 'b' ~ 'a' * 1000000 %}{% for i in range(1000) %}{{ text.rfind(part) }}{% endfor %}")]
    public void A_template_that_means_harm_is_stopped(string source)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<ChatTemplateException>(() => Render(source));
        Assert.StartsWith("t:1:", error.Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4L << 30);
    }

    [Fact]
    public void What_is_nested_too_deeply_is_no_template()
    {
        foreach (string source in new[]
        {
            "{{ " + new string('(', 100000) + "1" + new string(')', 100000) + " }}",
            "{{ " + new string('[', 100000) + new string(']', 100000) + " }}",
            "{{ " + new string('-', 100000) + "1 }}",
            "{{ " + string.Concat(Enumerable.Repeat("not ", 100000)) + "1 }}",
            "{{ " + string.Concat(Enumerable.Repeat("1 if 1 else ", 100000)) + "1 }}",
            string.Concat(Enumerable.Repeat("{% if 1 %}", 100000)),
            "{% set " + new string('(', 100000) + "x" + new string(')', 100000) + " = 1 %}",
        })
            Assert.Contains("levels deep", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source)).Message);

        // Chains are read in a loop, but evaluated one inside the other.
        foreach (string link in new[] { " + 1", " | string", ".x", "[0]", " or 0" })
        {
            var template = ChatTemplate.Parse("{{ 0" + string.Concat(Enumerable.Repeat(link, 200000)) + " }}");
            Assert.Throws<ChatTemplateException>(() => template.Render(Request));
        }
    }

    [Fact]
    public void A_long_conversation_has_room()
    {
        var messages = JsonSerializer.SerializeToElement(Enumerable.Range(0, 4000).Select(i => new { role = i % 2 == 0 ? "user" : "assistant", content = new string('a', 1000) }));
        var template = ChatTemplate.Parse("{% set ns = namespace(n=0) %}{% for m in messages %}<{{ m.role }}>{{ (m.content | trim).split('x') | join('y') }}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}");
        Assert.EndsWith("4000", template.Render(new ChatRequest { Messages = messages }).Text);
        Assert.Equal("🙂", Render("{% set long = '🙂' * 1000000 %}{% for i in range(100000) %}{% set x = long[i] %}{% endfor %}{{ long[99999] }}"));
    }

    private static ChatRequest Request => new() { Messages = JsonElement.Parse("""[{"role":"user","content":"hi"}]""") };

    private static string Render(string source) => ChatTemplate.Parse(source, "t").Render(Request).Text;
}

using System.Text;

namespace DualSparse.Fuzz;

/// <summary>Templates that parse and do anything: loops in loops, macros that call themselves, lists that double, widths of billions.</summary>
internal sealed class TemplateGrammar(Random random)
{
    private static readonly string[] s_values =
    [
        "a", "b", "c", "ns.x", "ns.l", "s", "m", "d", "l", "u", "q", "undef", "none", "true", "1", "-3", "0", "2.5", "1e300", "9999999999", "'x'", "'🙂é'", "'%s'", "'a,b'", "' '", "''", "[]", "{}", "range(5)", "range(90000)", "loop.index", "loop",
    ];

    private static readonly string[] s_filters =
    [
        "abs", "batch(2)", "capitalize", "center(V)", "default('z')", "dictsort", "e", "first", "float", "format(V)", "groupby('role')", "indent(V)", "int", "items", "join(V)", "last", "length", "list", "lower",
        "map('string')", "map(attribute='role')", "max", "min", "reject('none')", "replace(V, V)", "reverse", "round", "safe", "select", "selectattr('content')", "slice(3)", "sort", "string", "striptags", "sum", "title", "tojson",
        "tojson(indent=V)", "trim", "truncate(V)", "unique", "upper", "urlencode", "wordcount",
    ];

    private static readonly string[] s_methods =
    [
        "split(V)", "split()", "rsplit(V, 1)", "strip(V)", "replace(V, V)", "find(V)", "rfind(V)", "count(V)", "join(V)", "startswith(V)", "title()", "upper()", "ljust(V)", "zfill(V)", "format(V, x=V)", "splitlines()", "partition(V)",
        "items()", "get(V)", "keys()", "index(V)", "expandtabs(V)", "content", "role", "x",
    ];

    private static readonly string[] s_signs = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "not in", "and", "or"];
    private static readonly string[] s_tests = ["defined", "none", "string", "mapping", "iterable", "number", "odd", "in(V)", "eq(V)", "divisibleby(V)"];

    /// <summary>A template.</summary>
    public string Template()
    {
        var text = new StringBuilder("{% set ns = namespace(x=1, l=[1, 2]) %}{% set a = 'abc' %}{% set b = [1, 'b', none] %}{% set c = {'k': 'v', 1: [2]} %}");
        for (int i = 1 + random.Next(5); i > 0; i--)
            text.Append(Statement(3));
        return text.ToString();
    }

    private string Pick(string[] choices) => choices[random.Next(choices.Length)];

    private string Filled(string[] choices, int depth)
    {
        string text = Pick(choices);
        while (text.IndexOf('V', StringComparison.Ordinal) is var at and >= 0)
            text = text[..at] + Value(depth - 1) + text[(at + 1)..];
        return text;
    }

    private string Value(int depth) => depth <= 0 ? Pick(s_values) : random.Next(10) switch
    {
        0 or 1 => $"({Value(depth - 1)} {Pick(s_signs)} {Value(depth - 1)})",
        2 or 3 => $"({Value(depth - 1)} | {Filled(s_filters, depth)})",
        4 or 5 => $"{Value(depth - 1)}.{Filled(s_methods, depth)}",
        6 => $"{Value(depth - 1)}[{Value(depth - 1)}:{Value(0)}]",
        7 => $"[{Value(depth - 1)}, {Value(depth - 1)}]",
        8 => $"({Value(depth - 1)} if {Value(depth - 1)} is {Filled(s_tests, depth)} else {Value(depth - 1)})",
        _ => Pick(s_values),
    };

    private string Statement(int depth) => random.Next(depth <= 0 ? 3 : 10) switch
    {
        0 => $"{{{{ {Value(2)} }}}}",
        1 => $"{{% set ns.x = {Value(2)} %}}{{% set ns.l = [ns.l, ns.l] %}}",
        2 => $"{{% set {Pick(["a", "b", "c"])} = {Value(3)} %}}",
        3 or 4 => $"{{% for i in {Pick(["range(90000)", "range(200)", "b", "m", "ns.l", Value(1)])} %}}{Statement(depth - 1)}{{% if {Value(1)} %}}{{% {Pick(["break", "continue", "set z = i"])} %}}{{% endif %}}{{% endfor %}}",
        5 => $"{{% macro f(p, r=2) %}}{Statement(depth - 1)}{{% if {Value(1)} %}}{{{{ f(p) }}}}{{% endif %}}{{% endmacro %}}{{{{ f({Value(1)}) }}}}",
        6 => $"{{% if {Value(2)} %}}{Statement(depth - 1)}{{% else %}}{Statement(depth - 1)}{{% endif %}}",
        7 => $"{{% set a %}}{Statement(depth - 1)}{{% endset %}}{{% set ns.x = ns.x ~ a %}}",
        8 => $"{{% filter {Filled(s_filters, 1)} %}}{Statement(depth - 1)}{{% endfilter %}}",
        _ => $"{{% for i in ns.l recursive %}}{{{{ loop(i) }}}}{Statement(depth - 1)}{{% endfor %}}",
    };
}

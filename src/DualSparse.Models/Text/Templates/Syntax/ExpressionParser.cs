using System.Globalization;
using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>Tokens become expressions: a method a level of precedence, from what binds least.</summary>
internal sealed class ExpressionParser(TokenReader tokens)
{
    private static readonly string[] s_compare = ["==", "!=", "<", "<=", ">", ">="];
    private static readonly string[] s_binary2 = ["*", "/", "//", "%"];

    // Filters and tests that don't exist, where they would always be reached.
    private readonly List<(string Kind, TemplateToken Name)> unknown = [];

    /// <summary>Names that are read, for a macro to know which of its special ones it needs.</summary>
    public HashSet<string> Names { get; set; } = [];

    /// <summary>Whether what is parsed may be passed over when it is rendered: then an unknown filter is an error only when it is reached.</summary>
    public bool MayBePassedOver { get; set; }

    /// <summary>Refuses what doesn't exist.</summary>
    public void CheckNames()
    {
        if (unknown.Count > 0)
            throw new TemplateError($"no {unknown[0].Kind} named '{JsonField.Shorten(unknown[0].Name.Text)}'") { Position = unknown[0].Name.Position };
    }

    /// <summary>An expression, with <c>a if b else c</c>.</summary>
    public Expression Parse()
    {
        tokens.Enter();
        int before = unknown.Count;
        var value = ParseOr();
        while (tokens.Current is var word && tokens.SkipName("if"))
        {
            var condition = ParseOr();
            var otherwise = tokens.SkipName("else") ? Parse() : null;
            value = new ConditionalExpression(word.Position, condition, value, otherwise);
            unknown.RemoveRange(before, unknown.Count - before);
        }

        tokens.Leave();
        return value;
    }

    /// <summary>An expression, or several with commas between: a tuple.</summary>
    /// <param name="withCondition">With <c>a if b else c</c>; not where <c>if</c> means something else.</param>
    public Expression ParseTuple(bool withCondition = true)
    {
        var first = tokens.Current;
        List<Expression> items = [];
        bool comma = false;
        while (!EndsTuple())
        {
            items.Add(withCondition ? Parse() : ParseOr());
            if (!tokens.SkipSign(","))
                break;
            comma = true;
        }

        return items.Count == 1 && !comma ? items[0]
            : items.Count > 0 ? new ListExpression(first.Position, items, IsTuple: true)
            : throw tokens.Unexpected("an expression");
    }

    /// <summary>An expression without <c>a if b else c</c>.</summary>
    public Expression ParseOr()
    {
        var left = ParseAnd();
        while (tokens.Current is var word && tokens.SkipName("or"))
            left = new LogicExpression(word.Position, IsAnd: false, left, ParseAnd());
        return left;
    }

    /// <summary>The filters of a block, the first of which stands here.</summary>
    public FilterExpression ParseBlockFilter()
    {
        var filter = ParseFilter(null);
        while (tokens.SkipSign("|"))
            filter = ParseFilter(filter);
        return filter;
    }

    /// <summary>A value with what stands behind it: attributes, items, calls.</summary>
    public Expression ParseOperand() => ParsePostfix(ParsePrimary());

    private Expression ParseAnd()
    {
        var left = ParseNot();
        while (tokens.Current is var word && tokens.SkipName("and"))
            left = new LogicExpression(word.Position, IsAnd: true, left, ParseNot());
        return left;
    }

    private Expression ParseNot()
    {
        var word = tokens.Current;
        if (!tokens.SkipName("not"))
            return ParseCompare();
        tokens.Enter();
        var value = new NotExpression(word.Position, ParseNot());
        tokens.Leave();
        return value;
    }

    private Expression ParseCompare()
    {
        var first = tokens.Current;
        var left = ParseSum();
        List<(string Sign, Expression Value)> rest = [];
        while (CompareSign() is { } sign)
            rest.Add((sign, ParseSum()));
        return rest.Count == 0 ? left : new CompareExpression(first.Position, left, rest);
    }

    private string? CompareSign()
    {
        if (tokens.Current.Kind == TokenKind.Sign && s_compare.Contains(tokens.Current.Text))
            return tokens.Take().Text;
        if (tokens.SkipName("in"))
            return "in";
        if (!tokens.Current.IsName("not") || !tokens.Following.IsName("in"))
            return null;
        tokens.Take();
        tokens.Take();
        return "not in";
    }

    private Expression ParseSum()
    {
        var left = ParseConcatenation();
        while (tokens.Current is var sign && (tokens.SkipSign("+") || tokens.SkipSign("-")))
            left = new BinaryExpression(sign.Position, sign.Text, left, ParseConcatenation());
        return left;
    }

    private Expression ParseConcatenation()
    {
        var first = tokens.Current;
        List<Expression> parts = [ParseProduct()];
        while (tokens.SkipSign("~"))
            parts.Add(ParseProduct());
        return parts.Count == 1 ? parts[0] : new ConcatenationExpression(first.Position, parts);
    }

    private Expression ParseProduct()
    {
        var left = ParsePower();
        while (tokens.Current.Kind == TokenKind.Sign && s_binary2.Contains(tokens.Current.Text))
        {
            var sign = tokens.Take();
            left = new BinaryExpression(sign.Position, sign.Text, left, ParsePower());
        }

        return left;
    }

    private Expression ParsePower()
    {
        var left = ParseUnary();
        while (tokens.Current is var sign && tokens.SkipSign("**"))
            left = new BinaryExpression(sign.Position, sign.Text, left, ParseUnary());
        return left;
    }

    private Expression ParseUnary(bool withFilter = true)
    {
        tokens.Enter();
        var first = tokens.Current;
        var value = tokens.SkipSign("-") ? new SignExpression(first.Position, Negative: true, ParseUnary(false))
            : tokens.SkipSign("+") ? new SignExpression(first.Position, Negative: false, ParseUnary(false))
            : ParsePrimary();
        value = ParsePostfix(value);
        tokens.Leave();
        return withFilter ? ParseFilters(value) : value;
    }

    private Expression ParsePrimary()
    {
        var token = tokens.Take();
        switch (token.Kind)
        {
            case TokenKind.Name:
                if (token.Text is "true" or "True" or "false" or "False")
                    return new Literal(token.Position, token.Text is "true" or "True");
                if (token.Text is "none" or "None")
                    return new Literal(token.Position, null);
                Names.Add(token.Text);
                return new NameExpression(token.Position, token.Text);
            case TokenKind.String:
                string text = token.Text;
                while (tokens.Current.Kind == TokenKind.String)
                    text += tokens.Take().Text;
                return new Literal(token.Position, new MarkedText(text));
            case TokenKind.Integer:
                return new Literal(token.Position, Whole(token));
            case TokenKind.Float:
                return new Literal(token.Position, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Sign when token.Text == "(":
                var inner = tokens.Current.IsSign(")") ? new ListExpression(token.Position, [], IsTuple: true) : ParseTuple();
                tokens.ExpectSign(")");
                return inner;
            case TokenKind.Sign when token.Text == "[":
                return new ListExpression(token.Position, ParseItems("]"), IsTuple: false);
            case TokenKind.Sign when token.Text == "{":
                return ParseDict(token);
            default:
                throw new TemplateError($"expected an expression, found {token}") { Position = token.Position };
        }
    }

    private static object Whole(TemplateToken token)
    {
        string text = token.Text.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
        int radix = text.Length < 2 ? 10 : text[1] switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 10 };
        if (radix == 10)
            return Numbers.Of(BigInteger.Parse(text, CultureInfo.InvariantCulture));
        try
        {
            return (long)Convert.ToUInt32(text[2..], radix);
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            throw new TemplateError($"'{JsonField.Shorten(token.Text)}' is no number below 2^32") { Position = token.Position };
        }
    }

    private List<Expression> ParseItems(string close)
    {
        List<Expression> items = [];
        while (!tokens.SkipSign(close))
        {
            if (items.Count > 0)
            {
                tokens.ExpectSign(",");
                if (tokens.SkipSign(close))
                    break;
            }

            items.Add(Parse());
        }

        return items;
    }

    private DictExpression ParseDict(TemplateToken open)
    {
        List<(Expression Key, Expression Value)> items = [];
        while (!tokens.SkipSign("}"))
        {
            if (items.Count > 0)
            {
                tokens.ExpectSign(",");
                if (tokens.SkipSign("}"))
                    break;
            }

            var key = Parse();
            tokens.ExpectSign(":");
            items.Add((key, Parse()));
        }

        return new(open.Position, items);
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            var token = tokens.Current;
            if (token.IsSign("("))
                value = new CallExpression(token.Position, value, ParseArguments());
            else if (tokens.SkipSign("."))
                value = tokens.Current.Kind == TokenKind.Integer
                    ? new ItemExpression(token.Position, value, new Literal(token.Position, Whole(tokens.Take())))
                    : new AttributeExpression(token.Position, value, tokens.Expect(TokenKind.Name, "a name or number").Text);
            else if (tokens.SkipSign("["))
                value = ParseSubscript(token, value);
            else
                return value;
        }
    }

    private Expression ParseSubscript(TemplateToken open, Expression value)
    {
        Expression? start = tokens.Current.IsSign(":") ? null : Parse();
        if (!tokens.SkipSign(":"))
        {
            List<Expression> keys = [start!];
            while (tokens.SkipSign(","))
                keys.Add(Parse());
            tokens.ExpectSign("]");
            return new ItemExpression(open.Position, value, keys.Count == 1 ? keys[0] : new ListExpression(open.Position, keys, IsTuple: true));
        }

        Expression? stop = tokens.Current.IsSign(":") || tokens.Current.IsSign("]") ? null : Parse();
        Expression? step = tokens.SkipSign(":") && !tokens.Current.IsSign("]") ? Parse() : null;
        tokens.ExpectSign("]");
        return new SliceExpression(open.Position, value, start, stop, step);
    }

    private Expression ParseFilters(Expression value)
    {
        while (true)
        {
            var token = tokens.Current;
            if (tokens.SkipSign("|"))
                value = ParseFilter(value);
            else if (tokens.SkipName("is"))
                value = ParseTest(token, value);
            else if (token.IsSign("("))
                value = new CallExpression(token.Position, value, ParseArguments());
            else
                return value;
        }
    }

    private FilterExpression ParseFilter(Expression? value)
    {
        var name = ParseDottedName();
        if (Filters.Find(name.Text) is null && !MayBePassedOver)
            unknown.Add(("filter", name));
        return new(name.Position, value, name.Text, tokens.Current.IsSign("(") ? ParseArguments() : ArgumentList.None);
    }

    private Expression ParseTest(TemplateToken word, Expression value)
    {
        bool negated = tokens.SkipName("not");
        var name = ParseDottedName();
        if (Tests.Find(name.Text) is null && !MayBePassedOver)
            unknown.Add(("test", name));
        var arguments = ArgumentList.None;
        var token = tokens.Current;
        if (token.IsSign("("))
        {
            arguments = ParseArguments();
        }
        else if (token.Kind is TokenKind.String or TokenKind.Integer or TokenKind.Float || token.IsSign("[") || token.IsSign("{")
            || (token.Kind == TokenKind.Name && token.Text is not ("else" or "or" or "and")))
        {
            if (token.IsName("is"))
                throw tokens.Error("tests can't be chained with 'is'");
            arguments = new([ParseOperand()], [], null, null);
        }

        Expression test = new TestExpression(word.Position, value, name.Text, arguments);
        return negated ? new NotExpression(word.Position, test) : test;
    }

    private TemplateToken ParseDottedName()
    {
        var name = tokens.Expect(TokenKind.Name, "a name");
        while (tokens.SkipSign("."))
            name = name with { Text = $"{name.Text}.{tokens.Expect(TokenKind.Name, "a name").Text}" };
        return name;
    }

    private ArgumentList ParseArguments()
    {
        var open = tokens.Current;
        tokens.ExpectSign("(");
        var list = new ArgumentList([], [], null, null);
        bool first = true;
        while (!tokens.SkipSign(")"))
        {
            if (!first)
            {
                tokens.ExpectSign(",");
                if (tokens.SkipSign(")"))
                    break;
            }

            first = false;
            bool more = list.MorePositional is not null || list.MoreNamed is not null;
            if (tokens.SkipSign("**"))
                list = list.MoreNamed is null ? list with { MoreNamed = Parse() } : throw Wrong(open);
            else if (tokens.SkipSign("*"))
                list = !more ? list with { MorePositional = Parse() } : throw Wrong(open);
            else if (tokens.Current.Kind == TokenKind.Name && tokens.Following.IsSign("="))
                ParseNamed(list, open);
            else if (!more && list.Named.Count == 0)
                list.Positional.Add(Parse());
            else
                throw Wrong(open);
        }

        return list;
    }

    private void ParseNamed(ArgumentList list, TemplateToken open)
    {
        if (list.MoreNamed is not null)
            throw Wrong(open);
        string name = tokens.Take().Text;
        tokens.Take();
        list.Named.Add((name, Parse()));
    }

    private bool EndsTuple() => tokens.Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd or TokenKind.End || tokens.Current.IsSign(")") || tokens.Current.IsName("in")
        || tokens.Current.IsName("recursive");

    private static TemplateError Wrong(TemplateToken open) => new("the arguments of the call are in an order that isn't allowed") { Position = open.Position };
}

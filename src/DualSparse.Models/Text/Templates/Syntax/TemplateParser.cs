namespace DualSparse.Models.Text.Templates;

/// <summary>Tokens become statements. What other files would be needed for (extends, include, import) and automatic escaping are refused.</summary>
internal sealed class TemplateParser
{
    private static readonly HashSet<string> s_macroNames = ["caller", "kwargs", "varargs"];

    private readonly TokenReader tokens;
    private readonly ExpressionParser expressions;
    private readonly HashSet<string> blocks = [];

    // Loops around, inside the innermost macro.
    private int loops;

    private TemplateParser(TokenReader tokens) => (this.tokens, expressions) = (tokens, new(tokens));

    /// <summary>Parses a source that <see cref="TemplateLexer.Normalize"/> gave.</summary>
    /// <exception cref="TemplateError">It is no template.</exception>
    public static List<Statement> Parse(string source)
    {
        var parser = new TemplateParser(new(TemplateLexer.Read(source)));
        var body = parser.ParseBody();
        if (parser.tokens.Current.Kind != TokenKind.End)
            throw parser.tokens.Error($"the block {parser.tokens.Current} ends nothing that is open");
        parser.expressions.CheckNames();
        return body;
    }

    // Up to the end, or to a block's word that is one of `ends`, at which it then stands.
    private List<Statement> ParseBody(params string[] ends)
    {
        tokens.Enter();
        List<Statement> body = [];
        while (true)
        {
            var token = tokens.Current;
            if (token.Kind == TokenKind.End)
            {
                if (ends.Length > 0)
                    throw tokens.Unexpected($"'{ends[^1]}'");
                break;
            }

            tokens.Take();
            if (token.Kind == TokenKind.Text)
            {
                body.Add(new TextStatement(token.Position, new MarkedText(token.Text)));
            }
            else if (token.Kind == TokenKind.OutputBegin)
            {
                body.Add(new OutputStatement(token.Position, expressions.ParseTuple()));
                tokens.Expect(TokenKind.OutputEnd, "'}}'");
            }
            else
            {
                if (ends.Any(tokens.Current.IsName))
                    break;
                body.Add(ParseStatement());
            }
        }

        tokens.Leave();
        return body;
    }

    private Statement ParseStatement()
    {
        var word = tokens.Expect(TokenKind.Name, "the name of a block");
        switch (word.Text)
        {
            case "if":
                return ParseIf(word);
            case "for":
                return ParseFor(word);
            case "set":
                return ParseSet(word);
            case "macro":
                return ParseMacro(word);
            case "call":
                return ParseCall(word);
            case "with":
                return ParseWith(word);
            case "filter":
                var filter = expressions.ParseBlockFilter();
                return new FilterStatement(word.Position, filter, ParseInner("endfilter"));
            case "generation":
                int around = loops;
                loops = 0;
                var generation = new ScopeStatement(word.Position, [], ParseInner("endgeneration"));
                loops = around;
                return generation;
            case "block":
                return ParseBlock(word);
            case "print":
                List<Expression> values = [expressions.Parse()];
                while (tokens.SkipSign(","))
                    values.Add(expressions.Parse());
                tokens.EndBlock();
                return new OutputStatement(word.Position, new ConcatenationExpression(word.Position, values));
            case "break" or "continue" when loops > 0:
                tokens.EndBlock();
                return new FlowStatement(word.Position, word.Text == "break" ? Flow.Break : Flow.Continue);
            case "break" or "continue":
                throw At(word, $"'{word.Text}' stands outside a loop");
            case "extends" or "include" or "import" or "from" or "autoescape":
                throw At(word, $"the block '{word.Text}' isn't supported in chat templates");
            default:
                throw At(word, $"there is no block '{JsonField.Shorten(word.Text)}'");
        }
    }

    // The end of the tag, a body of its own scope, and the block that ends it.
    private List<Statement> ParseInner(string end)
    {
        tokens.EndBlock();
        bool around = expressions.MayBePassedOver;
        expressions.MayBePassedOver = false;
        var body = ParseBody(end);
        expressions.MayBePassedOver = around;
        tokens.ExpectName(end);
        tokens.EndBlock();
        return body;
    }

    private IfStatement ParseIf(TemplateToken word)
    {
        bool around = expressions.MayBePassedOver;
        expressions.MayBePassedOver = true;
        List<(Expression? Condition, List<Statement> Body)> branches = [];
        do
        {
            var condition = expressions.ParseTuple(withCondition: false);
            tokens.EndBlock();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
        }
        while (tokens.SkipName("elif"));

        if (tokens.SkipName("else"))
        {
            tokens.EndBlock();
            branches.Add((null, ParseBody("endif")));
        }

        tokens.ExpectName("endif");
        tokens.EndBlock();
        expressions.MayBePassedOver = around;
        return new(word.Position, branches);
    }

    private ForStatement ParseFor(TemplateToken word)
    {
        var target = ParseTarget(allowNamespace: false);
        tokens.ExpectName("in");
        var values = expressions.ParseTuple(withCondition: false);
        var condition = tokens.SkipName("if") ? expressions.Parse() : null;
        bool recursive = tokens.SkipName("recursive");
        tokens.EndBlock();
        bool around = expressions.MayBePassedOver;
        expressions.MayBePassedOver = false;
        loops++;
        var body = ParseBody("else", "endfor");
        loops--;
        List<Statement> otherwise = [];
        if (tokens.SkipName("else"))
        {
            tokens.EndBlock();
            otherwise = ParseBody("endfor");
        }

        tokens.ExpectName("endfor");
        tokens.EndBlock();
        expressions.MayBePassedOver = around;
        return new(word.Position, target, values, condition, recursive, body, otherwise);
    }

    private Statement ParseSet(TemplateToken word)
    {
        var target = ParseTarget(allowNamespace: true);
        if (tokens.SkipSign("="))
        {
            var value = expressions.ParseTuple();
            tokens.EndBlock();
            return new SetStatement(word.Position, target, value);
        }

        var filter = tokens.SkipSign("|") ? expressions.ParseBlockFilter() : null;
        return new SetBlockStatement(word.Position, target, filter, ParseInner("endset"));
    }

    private MacroStatement ParseMacro(TemplateToken word)
    {
        var name = tokens.Expect(TokenKind.Name, "the macro's name");
        return new(word.Position, ParseMacroBody(name.Text, ParseParameters(), "endmacro"));
    }

    private CallStatement ParseCall(TemplateToken word)
    {
        var parameters = tokens.Current.IsSign("(") ? ParseParameters() : [];
        var value = expressions.Parse();
        if (value is not CallExpression call)
            throw At(word, "the block 'call' needs a call, such as of a macro");
        return new(word.Position, call, ParseMacroBody("caller", parameters, "endcall"));
    }

    private Macro ParseMacroBody(string name, List<(string Name, Expression? Otherwise)> parameters, string end)
    {
        var (outerNames, outerLoops) = (expressions.Names, loops);
        (expressions.Names, loops) = ([], 0);
        var body = ParseInner(end);
        HashSet<string> uses = [.. s_macroNames.Where(expressions.Names.Contains)];
        (expressions.Names, loops) = ([.. outerNames, .. expressions.Names], outerLoops);
        return new(name, parameters, body, uses);
    }

    private List<(string Name, Expression? Otherwise)> ParseParameters()
    {
        tokens.ExpectSign("(");
        List<(string Name, Expression? Otherwise)> parameters = [];
        while (!tokens.SkipSign(")"))
        {
            if (parameters.Count > 0)
                tokens.ExpectSign(",");
            var name = ParseName();
            if (parameters.Any(p => p.Name == name.Text))
                throw At(name, $"the parameter '{name.Text}' stands there twice");
            var otherwise = tokens.SkipSign("=") ? expressions.Parse() : null;
            if (otherwise is null && parameters.Any(p => p.Otherwise is not null))
                throw At(name, $"the parameter '{name.Text}' has no value of its own, and one before it has");
            parameters.Add((name.Text, otherwise));
        }

        return parameters;
    }

    private ScopeStatement ParseWith(TemplateToken word)
    {
        List<(Target Target, Expression Value)> values = [];
        while (tokens.Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0)
                tokens.ExpectSign(",");
            var target = new Target(ParseName().Text);
            tokens.ExpectSign("=");
            values.Add((target, expressions.Parse()));
        }

        return new(word.Position, values, ParseInner("endwith"));
    }

    private ScopeStatement ParseBlock(TemplateToken word)
    {
        var name = ParseName();
        if (!blocks.Add(name.Text))
            throw At(name, $"the block '{name.Text}' is defined twice");
        while (tokens.SkipName("scoped") || tokens.SkipName("required"))
        {
        }

        tokens.EndBlock();
        var body = ParseBody("endblock");
        tokens.ExpectName("endblock");
        tokens.SkipName(name.Text);
        tokens.EndBlock();
        return new(word.Position, [], body);
    }

    // With commas between them: several.
    private Target ParseTarget(bool allowNamespace)
    {
        List<Target> parts = [];
        bool comma = false;
        do
        {
            if (comma && (tokens.Current.IsSign("=") || tokens.Current.IsName("in")))
                break;
            parts.Add(ParseTargetPart(allowNamespace));
            comma |= tokens.Current.IsSign(",");
        }
        while (tokens.SkipSign(","));

        return parts.Count == 1 && !comma ? parts[0] : new Target("", Parts: parts);
    }

    private Target ParseTargetPart(bool allowNamespace)
    {
        if (tokens.SkipSign("("))
        {
            tokens.Enter();
            var inner = ParseTarget(allowNamespace);
            tokens.Leave();
            tokens.ExpectSign(")");
            return inner;
        }

        var name = ParseName();
        return new(name.Text, allowNamespace && tokens.SkipSign(".") ? tokens.Expect(TokenKind.Name, "an attribute's name").Text : null);
    }

    private TemplateToken ParseName()
    {
        var name = tokens.Expect(TokenKind.Name, "a name");
        return name.Text is "true" or "True" or "false" or "False" or "none" or "None" ? throw At(name, $"'{name.Text}' can't be assigned to") : name;
    }

    private static TemplateError At(TemplateToken token, string message) => new(message) { Position = token.Position };
}

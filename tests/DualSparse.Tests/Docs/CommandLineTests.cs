using System.CommandLine;
using System.Text.RegularExpressions;

namespace DualSparse.Tests.Docs;

/// <summary>The commands that documents show exist, with the options that they show.</summary>
public partial class CommandLineTests
{
    private static readonly RootCommand s_root = DualSparse.Cli.Program.Commands();

    public static TheoryData<string> Documents => [.. DocumentTests.All];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Commands_exist(string document)
    {
        string text = File.ReadAllText(TestPaths.InRepository(document.Split('/')));
        Assert.Empty(CommandLines(text).Select(Mistake).OfType<string>());
        foreach (Match project in Projects().Matches(text))
            Assert.True(Path.Exists(TestPaths.InRepository(project.Groups["path"].Value.Split('/'))), $"{document}: {project.Value}");
    }

    [Theory]
    [InlineData("`./dualsparse genrate \"x\"`", "genrate")]
    [InlineData("```\n./dualsparse eval OUT --swep\n```", "--swep")]
    [InlineData("```\necho x | ./dualsparse generate - --heat 0.2 > out.txt\n```", "--heat")]
    [InlineData("```\n./dualsparse bench layer --layers 3\n```", "--layers")]
    [InlineData("`dualsparse bench layer --tokens`", "--tokens")]
    [InlineData("`./dualsparse eval --drop much`", "much")]
    public void What_does_not_exist_is_found(string text, string name) => Assert.Contains(name, Mistake(Assert.Single(CommandLines(text))));

    [Fact]
    public void Comments_pipes_and_quotes_are_the_shells() =>
        Assert.Equal(
            ["generate|a \"b\" | c|--seed|1"],
            CommandLines("$ echo x | ./dualsparse generate 'a \"b\" | c' --seed 1 2>/dev/null | cat # --no").Select(l => string.Join('|', l)));

    [Fact]
    public void The_README_gives_a_test_command_and_the_main_job()
    {
        string readme = File.ReadAllText(TestPaths.InRepository("README.md"));
        // The line that .ci/run looks for.
        Assert.Matches(@"(?m)^dotnet test -c Release$", readme);
        Assert.Matches(@"(?m)^\./dualsparse generate ""Once upon a time""$", readme);
    }

    // The arguments of each call: in code between back-ticks, in blocks, after a prompt sign or a pipe.
    private static IEnumerable<string[]> CommandLines(string text)
    {
        foreach (Match call in Calls().Matches(text))
        {
            List<string> words = [];
            foreach (Match word in Words().Matches(call.Groups["line"].Value))
            {
                if (ShellSigns().IsMatch(word.Value))
                    break;
                words.Add(word.Value is ['"', .. var twice, '"'] ? twice : word.Value is ['\'', .. var once, '\''] ? once : word.Value);
            }

            yield return [.. words];
        }
    }

    // What is wrong with a call; null where nothing is.
    private static string? Mistake(string[] words)
    {
        string line = string.Join(' ', words);
        // R and P stand for numbers.
        var parsed = s_root.Parse([.. words.Select(w => w switch { "R" => "0.1", "P" => "2", _ => w })], new ParserConfiguration { ResponseFileTokenReplacer = null });
        Command command = parsed.CommandResult.Command;
        if (command == s_root && words is not [] && words[0] is not ("--help" or "--version"))
            return $"'{line}': there is no command '{words[0]}'";
        // A word like an option that the command lacks may pass for an argument: names are looked up.
        var known = Names(command).Concat(Names(s_root)).ToHashSet();
        if (words.FirstOrDefault(w => w.Length > 1 && w[0] == '-' && char.IsLetter(w.TrimStart('-').FirstOrDefault()) && !known.Contains(w.Split('=')[0])) is { } unknown)
            return $"'{line}': {command.Name} has no option {unknown}";
        // A command's bare name is no call of it.
        return parsed.Errors is [var error, ..] && words.Any(w => w.StartsWith('-')) ? $"'{line}': {error.Message}" : null;
    }

    private static IEnumerable<string> Names(Command command) => command.Options.SelectMany(o => o.Aliases.Append(o.Name));

    [GeneratedRegex(@"(?m)(?:`|^|^\$ |\| )(?:\./)?dualsparse (?<line>[a-z-][^`\n]*)")]
    private static partial Regex Calls();

    [GeneratedRegex(@"^(\||#.*|&&|;|\d?[<>].*)$")]
    private static partial Regex ShellSigns();

    [GeneratedRegex(@"""[^""]*""|'[^']*'|[^\s""']+")]
    private static partial Regex Words();

    [GeneratedRegex(@"dotnet (?:run|test|build|add reference)[^`\n]*?(?<path>(?:src|tests|benchmarks)/[\w./-]+)")]
    private static partial Regex Projects();
}

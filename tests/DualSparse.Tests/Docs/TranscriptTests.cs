using System.Text.RegularExpressions;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Docs;

/// <summary>What the README shows of the terminal is what the program writes: text and figures differ from machine to machine, their names don't.</summary>
public partial class TranscriptTests
{
    [Fact]
    public void Figures_are_named_as_the_program_names_them()
    {
        string readme = File.ReadAllText(TestPaths.InRepository("README.md"));
        string shown = Shown().Match(readme).Value;
        Assert.NotEmpty(shown);
        var run = CommandRun.Of("generate", "Once upon a time", "-m", TestPaths.Model, "--drop", "0.25", "-n", "48", "--temperature", "0.6", "--seed", "4");
        Assert.Equal(0, run.Code);
        Assert.Equal(Names(run.Errors), Names(shown));
    }

    // Without numbers and their units, kernels' names, and the loss to expect, which takes a sparsified model.
    private static string[] Names(string line) =>
        [.. Expected().Replace(line.Trim().ReplaceLineEndings(" · "), "").Split('·').Select(part => Varying().Replace(part, "#").Trim()).Select(part => Spaces().Replace(part, " "))];

    // From its first words to the block's end.
    [GeneratedRegex(@"dropped [\d.]+ % of the routed[^`]*")]
    private static partial Regex Shown();

    [GeneratedRegex(@", expected KL (?:[\d.]+ nats a token|unknown: [^·]*measures it)")]
    private static partial Regex Expected();

    [GeneratedRegex(@"\b(amx|avx512-dot|avx512|avx2|vector|scalar|[MG]iB|threads?|\d[\d.]*)\b")]
    private static partial Regex Varying();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}

using System.Text;
using System.Text.Json;
using DualSparse.Evaluation;
using DualSparse.Models.Text.Templates;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Text.Templates;

/// <summary>What jinja2 makes of templates, set up as transformers sets it up.</summary>
public class TemplateGoldenTests
{
    private const string Published = "DUALSPARSE_TEMPLATES";

    [Fact]
    public void Every_conversation_is_identical_and_every_error_is_one()
    {
        var report = TemplateVerification.Compare(TestPaths.Golden("templates"));
        Assert.Empty(report.Differences);
        Assert.Equal((210, 30), (report.Cases, report.Errors));
    }

    [Fact]
    public void Every_expression_is_identical()
    {
        var variables = JsonElement.Parse(File.ReadAllText(TestPaths.Golden("templates", "variables.json")));
        int cases = 0;
        var differences = new StringBuilder();
        foreach (string line in File.ReadLines(TestPaths.Golden("templates", "snippets.jsonl")))
        {
            var row = JsonElement.Parse(line);
            string source = row.GetProperty("template").GetString()!;
            string? expected = row.TryGetProperty("ok", out var ok) ? ok.GetString() : null, found = null;
            try
            {
                found = ChatTemplate.Parse(source).RenderVariables(variables, DateTime.Now, out _);
            }
            catch (ChatTemplateException)
            {
            }

            if (found != expected)
                differences.AppendLine($"{source} gives {found ?? "an error"}, expected {expected ?? "an error"}");
            cases++;
        }

        Assert.Equal("", differences.ToString());
        Assert.Equal(1324, cases);
    }

    [Fact]
    public void Published_templates_are_rendered_alike()
    {
        string? folder = Environment.GetEnvironmentVariable(Published);
        Assert.SkipWhen(string.IsNullOrEmpty(folder), $"the templates of models are their authors' and don't ship: {Published} names a folder of them with cases and results");
        var report = TemplateVerification.Compare(folder);
        Assert.True(report.Differences.Count <= report.Cases / 100, string.Join('\n', report.Differences));
    }

    [Fact]
    public void Verify_says_how_many_are_the_same_and_lists_the_others()
    {
        var run = CommandRun.Of(["verify", TestPaths.Golden("templates"), "--templates"]);
        Assert.Equal(0, run.Code);
        Assert.Contains("210 of 210 cases the same (100.00%), 30 of them errors", run.Output);

        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("templates"));
        File.WriteAllText(folder.File(Path.Combine("templates", "a.jinja")), "{{ strftime_now('%Y-%m-%d') }} {{ x }}");
        File.WriteAllText(folder.File(Path.Combine("templates", "b.jinja")), "{{ x");
        File.WriteAllText(folder.File("cases.json"), """{"one": {"x": 1}, "two": {"x": [2]}}""");
        string day = DateTime.Today.AddDays(-40).ToString("yyyy-MM-dd");
        File.WriteAllText(folder.File("expected.json"), $$$"""{"a": {"one": {"ok": "{{{day}}} 1"}, "two": {"ok": "{{{day}}} [3]"}}, "b": {"one": {"err": "syntax"}, "two": {"ok": "2"} } }""");
        run = CommandRun.Of(["verify", folder.Path, "--templates"]);
        Assert.Equal(1, run.Code);
        Assert.Contains("2 of 4 cases the same (50.00%), 1 of them errors", run.Output);
        Assert.Contains($"date that templates were told: {day}", run.Output);
        Assert.Contains("a, two: at character 12 it has", run.Output);
        Assert.Contains("b, two: it gives the error 'b.jinja:1:1: the tag has no end '}}'', expected \"2\"", run.Output);
        Assert.Equal(50, (int)(JsonElement.Parse(CommandRun.Of(["verify", folder.Path, "--templates", "--json"]).Output).GetProperty("share").GetDouble() * 100));
    }

    [Fact]
    public void A_folder_that_lacks_a_file_is_an_error()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("cases.json: there is no such file", CommandRun.Of(["verify", folder.Path, "--templates"]).Errors);
        File.WriteAllText(folder.File("cases.json"), "{}");
        File.WriteAllText(folder.File("expected.json"), "{}");
        Assert.Contains("expected.json holds no result", CommandRun.Of(["verify", folder.Path, "--templates"]).Errors);
    }
}

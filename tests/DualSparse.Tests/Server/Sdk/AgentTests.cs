using System.Diagnostics;

namespace DualSparse.Tests.Server.Sdk;

/// <summary>
/// An agent on a server: qwen-code, whose first request has 45 KB and a dozen tools. It is 144 MB, so that it runs where DUALSPARSE_SLOW is set.
/// </summary>
public class AgentTests
{
    private const string Package = "@qwen-code/qwen-code@0.24.4";

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(4);

    [Fact]
    public void Its_answer_is_shown()
    {
        using var model = new ScriptedModel();
        var (code, said) = Run(model.Path);
        Assert.True(code == 0, said);
        // The model calls the one function that it knows, is told that there is none, and answers that.
        Assert.Contains(ScriptedModel.Weather, said);
    }

    [Fact]
    public void A_prompt_that_does_not_fit_is_told_with_both_counts()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("t.jinja"), SdkServers.PlainTemplate);
        var (_, said) = Run(TestPaths.Model, "--chat-template", folder.File("t.jinja"));
        Assert.Matches(@"400 the prompt has \d+ tokens, and the model's context has 512", said);
    }

    private static (int Code, string Said) Run(string model, params string[] arguments)
    {
        SlowTests.Require();
        if (NodeSdk.Missing is { } missing)
            Assert.Skip(missing);
        using var folder = new TemporaryFolder();
        var (code, installed) = Wait(new ProcessStartInfo("npm", ["install", "--prefix", folder.Path, "--ignore-scripts", "--no-audit", "--no-fund", Package]));
        if (code != 0)
            Assert.Skip($"{Package} can't be installed: {installed}");
        using var server = RunningServer.Start(model, ["--name", SdkServers.Model, .. arguments]);
        var start = new ProcessStartInfo(Path.Combine(folder.Path, "node_modules", ".bin", "qwen"), ["-p", "Say hello."]) { WorkingDirectory = folder.Path };
        foreach (var (name, value) in new[] { ("OPENAI_BASE_URL", server.Base), ("OPENAI_API_KEY", "none"), ("OPENAI_MODEL", SdkServers.Model), ("HOME", folder.Path), ("NO_COLOR", "1") })
            start.Environment[name] = value;
        return Wait(start);
    }

    private static (int Code, string Said) Wait(ProcessStartInfo start)
    {
        start.RedirectStandardOutput = start.RedirectStandardError = start.RedirectStandardInput = true;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        if (!process.WaitForExit(s_limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{start.FileName} hasn't ended within {s_limit.TotalMinutes} minutes: {output.Result}{errors.Result}");
        }

        return (process.ExitCode, output.Result + errors.Result);
    }
}

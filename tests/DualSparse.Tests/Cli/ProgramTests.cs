using System.Diagnostics;

namespace DualSparse.Tests.Cli;

/// <summary>The built program as its users run it.</summary>
public class ProgramTests
{
    [Fact]
    public void Generate_gives_the_same_text_for_a_seed_on_any_number_of_threads()
    {
        string[] arguments = ["generate", "Once upon a time", "--max-tokens", "24", "--seed", "5"];
        var one = Run([.. arguments, "--threads", "1"]);
        var two = Run([.. arguments, "--threads", "2"]);
        Assert.Equal((0, 0), (one.Code, two.Code));
        Assert.Equal(one.Output, two.Output);
        Assert.True(one.Output.Trim().Length > 0);
        Assert.Contains("tokens/s", one.Errors);
    }

    [Theory]
    [InlineData("no such folder", "generate", "x", "--model", "nowhere")]
    [InlineData("expected bf16, f32, int8 or int4", "generate", "x", "--weights", "fp8")]
    [InlineData("expected 1 to", "generate", "x", "--threads", "0")]
    [InlineData("--help", "conjure")]
    public void A_mistake_is_one_sentence_and_exit_code_1(string sentence, params string[] arguments)
    {
        var run = Run(arguments);
        Assert.Equal(1, run.Code);
        Assert.Single(run.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(sentence, run.Errors);
        Assert.DoesNotContain("   at ", run.Errors);
    }

    [Fact]
    public void A_prompt_past_the_context_names_both_numbers()
    {
        var run = Run(["generate", string.Concat(Enumerable.Repeat("word ", 600))]);
        Assert.Equal(1, run.Code);
        Assert.Contains("512", run.Errors);
    }

    [Fact]
    public void Verify_passes_on_golden_logits_and_tokenizers_and_fails_past_the_tolerance()
    {
        Assert.Equal(0, Run(["verify", TestPaths.Golden("mixtral"), "--weights", "f32"]).Code);
        Assert.Equal(1, Run(["verify", TestPaths.Golden("mixtral"), "--weights", "int4", "--tolerance", "1e-6"]).Code);
        Assert.Equal(0, Run(["verify", TestPaths.Golden("tokenizer", "gpt2"), "--tokenizer", TestPaths.Golden("tokenizer", "gpt2", "cases.jsonl")]).Code);
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("inspect", "--kernels")]
    [InlineData("--version")]
    [InlineData("generate", "--help")]
    public void Commands_that_only_tell_succeed(params string[] arguments)
    {
        var run = Run(arguments);
        Assert.Equal(0, run.Code);
        Assert.NotEmpty(run.Output);
    }

    private static (int Code, string Output, string Errors) Run(string[] arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "dualsparse.dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }
}

namespace DualSparse.Tests.Cli;

/// <summary>Options that a command doesn't have, twice, or in other letters.</summary>
public class OptionTests
{
    [Theory]
    [InlineData("there is no option '--greedy'", "generate", "--greedy")]
    [InlineData("there is no option '--greedy'", "generate", "text", "--greedy")]
    [InlineData("a text that begins with - comes after --", "generate", "--greedy")]
    [InlineData("there is no option '--jsn'; did you mean --json?", "inspect", "--jsn")]
    [InlineData("there is no option '--temprature'; did you mean --temperature?", "generate", "text", "--temprature=1")]
    [InlineData("there is no option '--verbose'", "eval", "--text", "--verbose", "x.txt")]
    [InlineData("there is no option '-q'", "sparsify", "-q", "-o", "x")]
    [InlineData("there is no option '--model-path'", "generate", "x", "--stop", "--model-path")]
    [InlineData("--temperature", "generate", "x", "--temperature", "0", "--temperature", "1")]
    [InlineData("--max-tokens is given 2 times, expected once; 'dualsparse generate --help'", "generate", "x", "-n", "1", "--max-tokens", "2")]
    [InlineData("--drop needs a value; 'dualsparse generate --help'", "generate", "x", "--drop")]
    [InlineData("--output needs a value", "sparsify", "-o")]
    [InlineData("'world' comes after the text: put a text of several words in quotes", "generate", "hello", "world")]
    [InlineData("there is nothing that 'layer' can mean here; 'dualsparse bench layer --help'", "bench", "layer", "layer")]
    [InlineData("there is no option '--bogus'; 'dualsparse bench layer --help'", "bench", "layer", "--bogus")]
    [InlineData("'x' in --prompt, expected positive whole numbers", "bench", "--prompt", "1,x")]
    [InlineData("the model's folder has no name", "inspect", "-m", "")]
    [InlineData("--hosts goes with --ranks", "generate", "x", "--hosts", "a")]
    [InlineData("--peer-timeout goes with --ranks", "verify", "--peer-timeout", "5")]
    [InlineData("--weights", "inspect", "--kernels", "--weights", "f32")]
    [InlineData("is '.' and '..' (--model): give one of them", "inspect", ".", "-m", "..")]
    [InlineData("leave . out", "inspect", ".", "--kernels")]
    [InlineData("--bos goes with --text", "eval", "--ids", "x", "--bos")]
    public void Are_a_mistake_that_is_named(string sentence, params string[] arguments) => Assert.Contains(sentence, CommandRun.Mistake(arguments));

    [Fact]
    public void A_rate_without_a_known_loss_says_where_it_comes_from()
    {
        Assert.Contains("expected KL unknown: 'dualsparse sparsify' measures it", CommandRun.Of("generate", "x", "-n", "1", "--drop", "0.25").Errors);
        Assert.DoesNotContain("expected KL", CommandRun.Of("generate", "x", "-n", "1", "--t-major", "0.05").Errors);
    }

    [Fact]
    public void What_only_looks_like_one_may_be_a_text()
    {
        string[] options = ["-n", "1", "--temperature", "0"];
        Assert.Equal(0, CommandRun.Of(["generate", "-5 degrees", .. options]).Code);
        Assert.Equal(0, CommandRun.Of(["generate", "-", "-m", "nowhere"]).Code - 1);
        Assert.Equal(0, CommandRun.Of(["generate", .. options, "--", "--greedy"]).Code);
        Assert.Equal(0, CommandRun.Of(["generate", "x", .. options, "--stop=--end"]).Code);
    }

    [Fact]
    public void Names_are_taken_in_any_letters()
    {
        Assert.Equal(0, CommandRun.Of("generate", "x", "-n", "1", "--weights", "BF16").Code);
        Assert.Equal(0, CommandRun.Of("verify", TestPaths.Golden("mixtral"), "--weights", "F32").Code);
        Assert.Contains("has neither piqa.jsonl nor", CommandRun.Mistake("eval", "--tasks", "PIQA", "--data", TestPaths.Model));
        Assert.Contains("this model, expected some of 1t", CommandRun.Mistake("eval", "--sweep", "--methods", "1T,Other", "--text", TestPaths.InRepository("README.md"), "--context", "32"));
        Assert.Contains("exists already", CommandRun.Mistake("sparsify", "--metric", "4W", "-o", TestPaths.Model, "--windows", "4", "--context", "8"));
    }

    [Theory]
    [InlineData("verify")]
    [InlineData("inspect")]
    public void The_model_may_be_named_by_an_option(string command) =>
        Assert.Equal(CommandRun.Of(command, TestPaths.Golden("mixtral")), CommandRun.Of(command, "-m", TestPaths.Golden("mixtral")));

    [Fact]
    public void A_folder_after_texts_is_the_model()
    {
        string[] measured = ["eval", "--context", "32", "--windows", "1", "--json", "--text", TestPaths.InRepository("README.md")];
        Assert.Equal(CommandRun.Of([.. measured, "--model", TestPaths.Model]).Output, CommandRun.Of([.. measured, TestPaths.Model]).Output);
        Assert.Contains("it is a folder, expected a file", CommandRun.Of("eval", "--text", TestPaths.Model).Errors);
    }
}

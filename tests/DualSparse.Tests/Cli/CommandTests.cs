using System.Text.Json;

namespace DualSparse.Tests.Cli;

/// <summary>Commands in this process: what they print, what they say of mistakes, and their exit codes.</summary>
public class CommandTests
{
    [Fact]
    public void Generate_gives_the_same_text_for_a_seed_on_any_number_of_threads()
    {
        string[] arguments = ["generate", "Once upon a time", "--max-tokens", "24", "--seed", "5"];
        var one = CommandRun.Of([.. arguments, "--threads", "1"]);
        var two = CommandRun.Of([.. arguments, "--threads", "2"]);
        Assert.Equal((0, 0), (one.Code, two.Code));
        Assert.Equal(one.Output, two.Output);
        Assert.True(one.Output.Trim().Length > 0);
        Assert.Contains("tokens/s", one.Errors);
    }

    [Theory]
    [InlineData("no such folder", "generate", "x", "--model", "nowhere")]
    [InlineData("expected bf16, f32, int8 or int4", "generate", "x", "--weights", "fp8")]
    [InlineData("expected 1 to", "generate", "x", "--threads", "0")]
    [InlineData("repetition-penalty is 1E-45, expected a number from", "generate", "x", "--repetition-penalty", "1e-45")]
    [InlineData("expected a whole number up to 2147483647", "generate", "x", "--max-tokens", "99999999999")]
    [InlineData("--context is 0, expected at least 1", "eval", "--text", "x.txt", "--context", "0")]
    [InlineData("--tolerance is NaN, expected at least 0", "verify", "--tolerance", "NaN")]
    [InlineData("--generate is -1, expected at least 0", "bench", "--generate", "-1")]
    [InlineData("there is nothing to time", "bench", "--prompt", "99999", "--generate", "0")]
    [InlineData("expected a file in a folder that exists", "bench", "--save", "nowhere/page.md")]
    [InlineData("layers is 999, expected 1 to 256", "bench", "--shape", "olmoe", "--layers", "999")]
    [InlineData("--rounds stands before 'layer'", "bench", "--rounds", "1", "layer", "--tokens", "1")]
    [InlineData("leave models/olmoe-mini out; 'dualsparse bench layer --help'", "bench", "models/olmoe-mini", "layer")]
    [InlineData("--layers goes with --shape", "bench", "--layers", "2")]
    [InlineData("--drop-generation has no meaning here", "eval", "--text", "x.txt", "--drop-generation", "0.25")]
    [InlineData("--picture is nowhere/x.svg, expected a file in a folder that exists", "eval", "--sweep", "--ids", "GOLDEN/eval/windows.safetensors", "--picture", "nowhere/x.svg")]
    [InlineData("dualsparse.json isn't there, which a method needs", "generate", "x", "--drop", "0.2", "--method", "search")]
    [InlineData("name one that holds another engine's logits by --reference", "verify", "GOLDEN/tokenizer/gpt2")]
    [InlineData("the folder to make has no name", "sparsify", "-o", "")]
    [InlineData("there is no command or option 'conjure'", "conjure")]
    [InlineData("--top-k is 'many', expected a whole number", "generate", "x", "--top-k", "many")]
    [InlineData("--temperature is 'hot', expected a number", "generate", "x", "--temperature", "hot")]
    [InlineData("temperature is -1, expected at least 0", "generate", "x", "--temperature", "-1")]
    [InlineData("expected 0 ≤ major ≤ minor", "generate", "x", "--t-major", "0.2", "--t-minor", "0.1")]
    [InlineData("there is nothing to continue", "generate")]
    [InlineData("the metric is 7, expected 1 to 4, or 1w to 4w", "sparsify", "-o", "nowhere/new", "--calibration-ids", "x.safetensors", "--metric", "7")]
    [InlineData("not both", "sparsify", "-o", "nowhere/new", "--calibration-ids", "x.safetensors", "--calibration-text", "y.txt")]
    [InlineData("--metric has no meaning beside it", "sparsify", "-o", "nowhere/new", "--complete", "2", "--metric", "4w")]
    [InlineData("only beside --complete", "sparsify", "-o", "nowhere/new", "--allow-rounding")]
    [InlineData("can't be cut into 3 equal parts", "sparsify", "-o", "nowhere/new", "--complete", "3")]
    public void A_mistake_is_one_sentence_and_exit_code_1(string sentence, params string[] arguments)
    {
        string line = CommandRun.Mistake([.. arguments.Select(a => a.Replace("GOLDEN", TestPaths.Golden(), StringComparison.Ordinal))]);
        Assert.Contains(sentence, line);
    }

    [Fact]
    public void A_rounding_that_is_refused_names_its_option()
    {
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of(["sparsify", TestPaths.Golden("olmoe"), "-o", folder.File("out"), "--complete", "3"]);
        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.StartsWith("dualsparse: without --allow-rounding: ", run.Errors);
        Assert.EndsWith("when they load it)", run.Errors.TrimEnd());
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_said_before_the_work()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("file"), "x");
        var run = CommandRun.Of(["sparsify", "-o", Path.Combine(folder.File("file"), "out")]);
        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains("no folder can be made there", run.Errors);
    }

    [Fact]
    public void A_folder_in_a_files_place_is_said_so()
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        foreach (string name in new[] { "tokenizer.json", "model.safetensors", "config.json" })
        {
            File.Delete(folder.File(name));
            Directory.CreateDirectory(folder.File(name));
            string errors = CommandRun.Of(["generate", "x", "--model", folder.Path]).Errors;
            Assert.Contains($"{folder.File(name)}: it is a folder, expected a file", errors);
        }

        Assert.Contains("it is a folder, expected a file", CommandRun.Of(["eval", "--text", folder.Path]).Errors);
        Assert.Contains("it is a folder, expected a file", CommandRun.Of(["verify", "--tokenizer", folder.Path]).Errors);
    }

    [Fact]
    public void Generate_reports_what_it_dropped()
    {
        var run = CommandRun.Of(["generate", "Once upon a time", "--max-tokens", "4", "--t-major", "0.1", "--t-minor", "0.12"]);
        Assert.Equal(0, run.Code);
        Assert.Matches(@"dropped [1-9]\d\.\d % of the routed experts' work", run.Errors);
    }

    [Fact]
    public void A_prompt_past_the_context_names_both_numbers()
    {
        var run = CommandRun.Of(["generate", string.Concat(Enumerable.Repeat("word ", 600))]);
        Assert.Equal(1, run.Code);
        Assert.Contains("512", run.Errors);
    }

    [Fact]
    public void Verify_passes_on_golden_logits_and_tokenizers_and_fails_past_the_tolerance()
    {
        Assert.Equal(0, CommandRun.Of(["verify", TestPaths.Golden("mixtral"), "--weights", "f32"]).Code);
        Assert.Equal(1, CommandRun.Of(["verify", TestPaths.Golden("mixtral"), "--weights", "int4", "--tolerance", "1e-6"]).Code);
        // A file about training: its last id is only predicted.
        Assert.Equal(0, CommandRun.Of(["verify", TestPaths.Golden("scmoe/top2"), "--weights", "f32"]).Code);
        Assert.Equal(0, CommandRun.Of(["verify", TestPaths.Golden("tokenizer", "gpt2"), "--tokenizer", TestPaths.Golden("tokenizer", "gpt2", "cases.jsonl")]).Code);
    }

    // A tolerance that is measured on the model itself must not grow with what is wrong with it.
    [Theory]
    [InlineData("bf16")]
    [InlineData("int8")]
    public void Verify_sees_a_model_that_computes_something_else(string weights)
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        string config = File.ReadAllText(folder.File("config.json"));
        Assert.Equal(0, CommandRun.Of(["verify", folder.Path, "--weights", weights]).Code);
        File.WriteAllText(folder.File("config.json"), System.Text.RegularExpressions.Regex.Replace(config, "\"rope_theta\": [0-9.]+", "\"rope_theta\": 50.0"));
        Assert.NotEqual(config, File.ReadAllText(folder.File("config.json")));
        var run = CommandRun.Of(["verify", folder.Path, "--weights", weights]);
        Assert.Equal(1, run.Code);
        Assert.Contains("DIFFERS", run.Output);
    }

    [Fact]
    public void A_completed_checkpoint_passes_with_the_originals_logits()
    {
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of(["sparsify", TestPaths.Golden("deepseek_v2"), "-o", folder.File("out"), "--complete", "2"]);
        Assert.Equal((0, ""), (run.Code, run.Errors));
        Assert.Contains("32 experts of 24 neurons, 8 a token", run.Output);
        Assert.Equal(0, CommandRun.Of(["verify", folder.File("out"), "--weights", "f32", "--tolerance", "1e-5", "--reference", TestPaths.Golden("deepseek_v2", "golden.safetensors")]).Code);
    }

    [Fact]
    public void A_stop_string_ends_the_text()
    {
        string[] arguments = ["generate", "The city of", "--max-tokens", "12", "--temperature", "0"];
        string whole = CommandRun.Of(arguments).Output.TrimEnd('\n');
        Assert.Equal(whole[..5], CommandRun.Of([.. arguments, "--stop", whole[5..9]]).Output.TrimEnd('\n'));
    }

    [Fact]
    public void Log_probabilities_come_as_a_line_a_token()
    {
        var run = CommandRun.Of(["generate", "The city of", "--max-tokens", "3", "--temperature", "0", "--logprobs", "2"]);
        string[] lines = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        // Id, log-probability and token: its own, then those of the two best, of which greedy takes the first.
        Assert.All(lines, line => Assert.Equal(9, line.Split('\t').Length));
        Assert.All(lines, line => Assert.Equal(line.Split('\t')[..3], line.Split('\t')[3..6]));
    }

    [Fact]
    public void A_damaged_model_is_one_sentence()
    {
        using var folder = TemporaryFolder.CopyOf("olmoe");
        File.WriteAllBytes(folder.File("model.safetensors"), File.ReadAllBytes(folder.File("model.safetensors"))[..1000]);
        // What is missing is said before anything is opened.
        Assert.Contains("there is no tokenizer.json", CommandRun.Mistake("generate", "x", "--model", folder.Path));
        File.Copy(TestPaths.Golden("tokenizer", "gpt2", "tokenizer.json"), folder.File("tokenizer.json"));
        Assert.Contains("model.safetensors", CommandRun.Mistake("generate", "x", "--model", folder.Path));
    }

    [Fact]
    public void Bench_writes_json_of_every_test()
    {
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of(["bench", "--prompt", "16,9999", "--generate", "4", "--rounds", "1", "--json", "--save", folder.File("page.md")]);
        Assert.Equal(0, run.Code);
        using var results = JsonDocument.Parse(run.Output);
        Assert.Equal(["prompt", "generate"], results.RootElement.EnumerateArray().Select(r => r.GetProperty("test").GetString()));
        Assert.All(results.RootElement.EnumerateArray(), r =>
        {
            Assert.True(r.GetProperty("tokensPerSecond").GetDouble() > 0);
            Assert.True(r.GetProperty("readGigabytesPerSecond").GetDouble() > 0);
            Assert.True(r.GetProperty("rateGflops").GetDouble() > 0);
            Assert.NotEmpty(r.GetProperty("cpu").GetString()!);
        });
        string page = File.ReadAllText(folder.File("page.md"));
        Assert.Contains($".NET {Environment.Version}", page, StringComparison.Ordinal);
        Assert.Contains("ceilings of this run", page, StringComparison.Ordinal);
        Assert.Equal(2, page.Split('\n').Count(line => line.StartsWith("| prompt | 16 |", StringComparison.Ordinal) || line.StartsWith("| generate | 4 |", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("inspect", "--kernels")]
    [InlineData("generate", "--help")]
    public void Commands_that_only_tell_succeed(params string[] arguments)
    {
        var run = CommandRun.Of(arguments);
        Assert.Equal(0, run.Code);
        Assert.NotEmpty(run.Output);
    }

    [Fact]
    public void Eval_measures_windows_of_ids()
    {
        var run = CommandRun.Of(["eval", "--ids", TestPaths.Golden("eval", "windows.safetensors"), "--windows", "2", "--t-major", "0.07", "--t-minor", "0.09", "--json"]);
        Assert.True(run.Code == 0, run.Errors);
        using var json = JsonDocument.Parse(run.Output);
        var books = json.RootElement.GetProperty("texts").GetProperty("books");
        Assert.Equal(1024, books.GetProperty("tokens").GetInt32());
        Assert.InRange(books.GetProperty("dropRate").GetDouble(), 0.35, 0.55);
        var kl = books.GetProperty("kl");
        Assert.InRange(kl.GetProperty("value").GetDouble(), kl.GetProperty("low").GetDouble(), kl.GetProperty("high").GetDouble());
        Assert.Equal(1, CommandRun.Of(["eval"]).Code);
    }

    [Fact]
    public void Eval_begins_windows_with_the_opening_token_where_asked_to()
    {
        string[] arguments = ["eval", "--text", TestPaths.InRepository("README.md"), "--context", "64", "--windows", "2", "--json"];
        double without = Nll(arguments), with = Nll([.. arguments, "--bos"]);
        Assert.NotEqual(without, with);

        static double Nll(string[] arguments)
        {
            using var json = JsonDocument.Parse(CommandRun.Of(arguments).Output);
            var text = json.RootElement.GetProperty("texts").GetProperty("README");
            Assert.Equal(128, text.GetProperty("tokens").GetInt32());
            Assert.True(text.GetProperty("textTokens").GetInt32() > 1000);
            return text.GetProperty("nll").GetProperty("value").GetDouble();
        }
    }

    [Fact]
    public void Inspect_and_verify_write_json()
    {
        using var facts = JsonDocument.Parse(CommandRun.Of("inspect", "--json").Output);
        Assert.Equal((32, 8, 512), (facts.RootElement.GetProperty("experts").GetInt32(), facts.RootElement.GetProperty("expertsPerToken").GetInt32(), facts.RootElement.GetProperty("context").GetInt32()));
        Assert.Equal(4, facts.RootElement.GetProperty("memory").GetArrayLength());
        using var kernels = JsonDocument.Parse(CommandRun.Of("inspect", "--kernels", "--json").Output);
        Assert.Contains(kernels.RootElement.GetProperty("kernels").EnumerateArray(), k => k.GetProperty("state").GetString() == "used");
        using var logits = JsonDocument.Parse(CommandRun.Of("verify", TestPaths.Golden("mixtral"), "--weights", "f32", "--json").Output);
        Assert.True(logits.RootElement.GetProperty("agrees").GetBoolean());
        string[] tokenizer = ["verify", TestPaths.Golden("tokenizer", "gpt2"), "--tokenizer", TestPaths.Golden("tokenizer", "gpt2", "cases.jsonl"), "--json"];
        using var cases = JsonDocument.Parse(CommandRun.Of(tokenizer).Output);
        Assert.Equal(cases.RootElement.GetProperty("cases").GetInt32(), cases.RootElement.GetProperty("same").GetInt32());
    }

    [Theory]
    [InlineData("own")]
    [InlineData("hybrid:2")]
    [InlineData("slice")]
    public void Inspect_shows_the_memory_of_each_rank(string placement)
    {
        using var whole = JsonDocument.Parse(CommandRun.Of("inspect", "--json").Output);
        using var ranks = JsonDocument.Parse(CommandRun.Of("inspect", "--json", "--ranks", "4", "--placement", placement).Output);
        Assert.Equal(placement, ranks.RootElement.GetProperty("placement").GetString());
        foreach (var format in whole.RootElement.GetProperty("memory").EnumerateArray())
        {
            string name = format.GetProperty("weights").GetString()!;
            long[] bytes = [.. ranks.RootElement.GetProperty("ranks").EnumerateArray().Select(r => r.GetProperty("bytes").GetProperty(name).GetInt64())];
            long all = format.GetProperty("bytes").GetInt64();
            Assert.True(bytes.Max() < all && bytes.Sum() > all && bytes[1] == bytes[2]);
            // Each has all but the other ranks' experts, or a part of everything but the router; parts of 32 or 16 neurons are padded to 64.
            if (placement != "slice")
                Assert.Equal(bytes[0], bytes[3]);
        }

        Assert.Contains("start at most 32", CommandRun.Mistake("inspect", "--ranks", "33"));
    }
}

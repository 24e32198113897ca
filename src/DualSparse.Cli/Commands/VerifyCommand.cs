using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse verify</c>: our logits, greedy tokens and tokenizer against another engine's; exit code 1 past the tolerance.</summary>
internal static class VerifyCommand
{
    // f32: what two orders of summation may differ by, over some tens of layers.
    private const double F32Tolerance = 1e-4;

    // Narrower weights: half as much again as plain rounding costs, as our scalar kernels do it.
    private const double ScalarFactor = 1.5;

    private const int Differs = 1;

    public static Command Create()
    {
        var command = new Command("verify", "Compares logits, greedy tokens or tokenizer with another engine's.");
        var folder = new Argument<string?>("model") { Description = $"The model's folder. [default: {ModelFolder.Default}]", Arity = ArgumentArity.ZeroOrOne };
        var reference = new Option<string?>("--reference")
        {
            Description = "A safetensors file with input_ids, logits and, if there is one, greedy. [default: the model's golden.safetensors]",
            HelpName = "file",
        };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Compare the tokenizer instead: a file of JSON lines with text and ids.", HelpName = "file" };
        var tolerance = NumberOption.Create<double>(
            "--tolerance", "RMS error that is accepted, over the logits' standard deviation. [default: 1e-4 in f32; else 1.5 times what plain rounding costs beside f32]");
        command.Arguments.Add(folder);
        var engine = new EngineArguments(command, withModel: false);
        foreach (Option option in new Option[] { reference, tokenizer, tolerance })
            command.Options.Add(option);
        command.SetAction(parsed =>
        {
            string model = ModelFolder.Find(parsed.GetValue(folder));
            var output = parsed.InvocationConfiguration.Output;
            return parsed.GetValue(tokenizer) is { } cases
                ? Tokenizer(output, model, cases)
                : Logits(output, model, parsed.GetValue(reference) ?? Path.Combine(model, "golden.safetensors"), engine.Engine(parsed), parsed.GetValue(tolerance));
        });
        return command;
    }

    private static int Logits(TextWriter output, string folder, string reference, EngineOptions options, double? given)
    {
        if (given is double.NaN or < 0)
            throw new ArgumentException($"--tolerance is {given}, expected at least 0");
        if (!File.Exists(reference))
            throw new ArgumentException($"{reference}: there is no such file; name one that holds another engine's logits by --reference");
        VerificationReport ours;
        using (var model = Transformer.Load(folder, options))
            ours = Verification.Compare(model, reference);
        double limit = given ?? (options.Weights == WeightFormat.F32
            ? F32Tolerance
            : ScalarFactor * Verification.RoundingError(folder, options, reference));
        output.WriteLine($"{ours.Tokens} rows of logits, weights {Figures.Name(options.Weights)}");
        output.WriteLine($"RMS error / deviation  {ours.RelativeError:0.000e+0} (accepted: {limit:0.000e+0})");
        output.WriteLine($"KL(reference ‖ ours)   {ours.KullbackLeibler:0.000e+0} nats a token");
        output.WriteLine($"top-1 agreement        {ours.TopOneAgreement:0.00%}");
        if (ours.GreedyTokens > 0)
            output.WriteLine($"greedy tokens          {ours.GreedyTokens - ours.GreedyMismatches} of {ours.GreedyTokens} the same");
        // Greedy tokens must be the same where the arithmetic is the same; rounded weights may turn a near tie.
        bool agrees = ours.RelativeError <= limit && (options.Weights != WeightFormat.F32 || ours.GreedyMismatches == 0);
        output.WriteLine(agrees ? "agrees" : "DIFFERS");
        return agrees ? 0 : Differs;
    }

    private static int Tokenizer(TextWriter output, string folder, string cases)
    {
        var report = TokenizerVerification.Compare(Models.Text.Tokenizer.Load(folder), cases);
        output.WriteLine($"{report.Cases - report.Differences.Count} of {report.Cases} cases the same");
        foreach (string difference in report.Differences.Take(5))
            output.WriteLine(difference);
        return report.Differences.Count == 0 ? 0 : Differs;
    }
}

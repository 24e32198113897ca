using System.CommandLine;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse verify</c>: our logits, greedy tokens, tokenizer and chat templates against another engine's; exit code 1 past the tolerance.</summary>
internal static class VerifyCommand
{
    // f32: what two orders of summation may differ by, over some tens of layers.
    private const double F32Tolerance = 1e-4;

    // Narrower weights: half as much again as plain rounding costs, as our scalar kernels do it.
    private const double ScalarFactor = 1.5;

    private const int Differs = 1;

    // Of a tokenizer's differences, as many as one reads.
    private const int MostShown = 5;

    public static Command Create()
    {
        var command = new Command("verify", "Compares logits, greedy tokens, tokenizer or chat templates with another engine's.");
        var folder = new ModelArgument(command, positional: true);
        var reference = new Option<string?>("--reference")
        {
            Description = "A safetensors file with input_ids, logits and, if there is one, greedy. [default: the model's golden.safetensors]",
            HelpName = "file",
        };
        var tokenizer = new Option<string?>("--tokenizer") { Description = "Compare the tokenizer instead: a file of JSON lines with text and ids.", HelpName = "file" };
        var templates = new Option<bool>("--templates") { Description = "Compare chat templates instead: the folder holds templates/, cases.json and expected.json." };
        var tolerance = NumberOption.Create<double>(
            "--tolerance", "RMS error that is accepted, over the logits' standard deviation. [default: 1e-4 in f32; else 1.5 times what plain rounding costs beside f32]");
        var json = new Option<bool>("--json") { Description = "Write JSON." };
        var engine = new EngineArguments(command);
        foreach (Option option in new Option[] { reference, tokenizer, templates, tolerance, json })
            command.Options.Add(option);
        var ranks = new RankArguments(command);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(templates))
                return Templates(parsed.InvocationConfiguration.Output, folder.Folder(parsed), parsed.GetValue(json));
            string model = folder.Folder(parsed);
            var output = parsed.InvocationConfiguration.Output;
            string golden = parsed.GetValue(reference) ?? Path.Combine(model, "golden.safetensors");
            return parsed.GetValue(tokenizer) is { } cases
                ? Tokenizer(output, model, cases, parsed.GetValue(json))
                : ranks.Run(parsed, () => model, engine.Engine(parsed), options => Logits(output, model, golden, options, parsed.GetValue(tolerance), parsed.GetValue(json)));
        });
        return command;
    }

    private static int Logits(TextWriter output, string folder, string reference, EngineOptions options, double? given, bool json)
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
        // Greedy tokens must be the same where the arithmetic is the same; rounded weights may turn a near tie.
        bool agrees = ours.RelativeError <= limit && (options.Weights != WeightFormat.F32 || ours.GreedyMismatches == 0);
        if (json)
            output.WriteLine(JsonSerializer.Serialize(new
            {
                Weights = Figures.Name(options.Weights),
                Rows = ours.Tokens,
                ours.RelativeError,
                Accepted = limit,
                Kl = ours.KullbackLeibler,
                ours.TopOneAgreement,
                ours.GreedyTokens,
                ours.GreedyMismatches,
                Agrees = agrees,
            }, Figures.Json));
        else
            WriteLogits(output, ours, options, limit, agrees);
        return agrees ? 0 : Differs;
    }

    private static void WriteLogits(TextWriter output, VerificationReport ours, EngineOptions options, double limit, bool agrees)
    {
        output.WriteLine($"{ours.Tokens} rows of logits, weights {Figures.Name(options.Weights)}");
        output.WriteLine($"RMS error              {ours.RelativeError:0.000e+0} standard deviations of the logits (accepted: {limit:0.000e+0})");
        output.WriteLine($"KL(reference ‖ ours)   {ours.KullbackLeibler:0.000e+0} nats a token");
        output.WriteLine($"top-1 agreement        {ours.TopOneAgreement:0.00%}");
        if (ours.GreedyTokens > 0)
            output.WriteLine($"greedy tokens          {ours.GreedyTokens - ours.GreedyMismatches} of {ours.GreedyTokens} the same");
        output.WriteLine(agrees ? "agrees" : "DIFFERS");
    }

    private static int Tokenizer(TextWriter output, string folder, string cases, bool json)
    {
        var report = TokenizerVerification.Compare(Models.Text.Tokenizer.Load(folder), cases);
        int differences = report.Differences.Count;
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { report.Cases, Same = report.Cases - differences, report.Differences }, Figures.Json));
        }
        else
        {
            output.WriteLine($"{report.Cases - differences} of {report.Cases} cases the same");
            foreach (string difference in report.Differences.Take(MostShown))
                output.WriteLine(difference);
            if (differences > MostShown)
                output.WriteLine($"and {differences - MostShown} more; --json has them all");
        }

        return differences == 0 ? 0 : Differs;
    }

    // Each that differs is listed: what a template does otherwise is to be known whole.
    private static int Templates(TextWriter output, string folder, bool json)
    {
        var report = TemplateVerification.Compare(folder);
        int same = report.Cases - report.Differences.Count;
        double share = (double)same / report.Cases;
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { report.Cases, Same = same, Share = share, report.Errors, report.Date, report.Differences }, Figures.Json));
        }
        else
        {
            output.WriteLine($"{same} of {report.Cases} cases the same ({share:0.00%}), {report.Errors} of them errors");
            if (report.Date is { } date)
                output.WriteLine($"date that templates were told: {date:yyyy-MM-dd}");
            foreach (string difference in report.Differences)
                output.WriteLine(difference);
        }

        return same == report.Cases ? 0 : Differs;
    }
}

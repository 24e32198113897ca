using System.CommandLine;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Kernels.Threading;
using DualSparse.Training.Checking;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse train MODEL --check FILE</c>: losses and gradients beside another implementation's; exit code 1 where they differ.</summary>
internal sealed class CheckArguments
{
    // The worst, as many as one reads.
    private const int MostShown = 12;

    private const int Differs = 1;

    private readonly ModelArgument model;

    private readonly Option<string?> oracle = new("--check")
    {
        Description = "Train nothing, but compare logits, losses, gradients and steps of AdamW with an oracle's safetensors file of the model.",
        HelpName = "file",
    };

    /// <summary>Adds the option, and the model's folder, to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="shared">Names of options that have a meaning beside it, such as <c>--threads</c>.</param>
    public CheckArguments(Command command, params string[] shared)
    {
        model = new ModelArgument(command, positional: true);
        command.Options.Add(oracle);
        command.Validators.Add(result =>
        {
            bool given = result.GetResult(oracle) is not null;
            if (!given && command.Arguments.Any(argument => result.GetResult(argument) is { Implicit: false, Tokens.Count: > 0 }))
                result.AddError("a model that stands alone is one to --check; to train one further name it by --init");
            string[] allowed = [oracle.Name, "--model", .. shared];
            foreach (var option in given ? command.Options : [])
            {
                if (!allowed.Contains(option.Name) && result.GetResult(option) is { Implicit: false })
                    result.AddError($"--check trains nothing, and {option.Name} has no meaning beside it");
            }
        });
    }

    /// <summary>Whether the comparison is asked for.</summary>
    public bool Given(ParseResult parsed) => parsed.GetValue(oracle) is not null;

    /// <summary>Compares and shows what came of it.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="threads">Threads; null: all that there are.</param>
    /// <param name="json">Whether to write JSON.</param>
    public int Run(ParseResult parsed, int? threads, bool json)
    {
        string file = parsed.GetValue(oracle)!;
        var output = parsed.InvocationConfiguration.Output;
        using var team = new ThreadTeam(threads ?? ThreadTeam.Available);
        var report = OracleCheck.Run(model.Folder(parsed), file, team);
        if (json)
            output.WriteLine(JsonSerializer.Serialize(Facts(report), Figures.Json));
        else
            Write(output, report);
        return report.Agrees ? 0 : Differs;
    }

    private static object Facts(OracleReport report) => new
    {
        report.Kernel,
        report.Agrees,
        Compared = report.Compared.Select(t => new { t.Kind, t.Name, t.Difference, t.Norm, t.Accepted, t.RelativeDifference, t.Agrees }),
        report.Unmatched,
        report.Missing,
    };

    private static void Write(TextWriter output, OracleReport report)
    {
        var table = new ResultTable("tensor", "‖Δ‖ / ‖oracle‖", "of what is accepted", "");
        foreach (var tensor in report.Compared.Take(MostShown))
            table.Add(tensor.Name, $"{tensor.RelativeDifference:0.0e+0}", $"{tensor.Share:0.000}", tensor.Agrees ? "agrees" : "DIFFERS");
        if (report.Compared.Count > 0)
            table.Write(output);
        if (report.Compared.Count > MostShown)
            output.WriteLine($"and {report.Compared.Count - MostShown} more that are nearer; --json has them all");
        foreach (var kind in report.Compared.GroupBy(tensor => tensor.Kind).OrderBy(kind => kind.Key))
            output.WriteLine($"{Name(kind.Key)}: {kind.Count(tensor => tensor.Agrees)} of {kind.Count()} agree");
        foreach (string reason in report.Unmatched)
            output.WriteLine($"without a counterpart: {reason}");
        foreach (string what in report.Missing)
            output.WriteLine($"not in the file, so not compared: {what}");
        output.WriteLine($"computed by {report.Kernel}");
        output.WriteLine(report.Agrees ? "agrees" : "DIFFERS");
    }

    private static string Name(OracleKind kind) => kind switch
    {
        OracleKind.Logits => "logits",
        OracleKind.Loss => "losses",
        OracleKind.Gradient => "gradients",
        OracleKind.StepLoss => "losses before steps of AdamW",
        _ => "values after steps of AdamW",
    };
}

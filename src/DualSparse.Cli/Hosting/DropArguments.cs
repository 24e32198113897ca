using System.CommandLine;
using DualSparse.Engine.Moe;

namespace DualSparse.Cli.Hosting;

/// <summary>The options that say which of a token's experts are left out.</summary>
internal sealed class DropArguments
{
    private readonly Option<float?> major = NumberOption.Create<float>(
        "--t-major", "Skip an expert whose share of its token's gating scores is below it. [default: 0]");

    private readonly Option<float?> minor = NumberOption.Create<float>(
        "--t-minor", "Below it compute the expert's major half only. [default: as --t-major]");

    private readonly Option<bool> noGuard = new("--no-guard") { Description = "Let a token lose its best expert too." };

    /// <summary>Adds the options to a command.</summary>
    public DropArguments(Command command)
    {
        command.Options.Add(major);
        command.Options.Add(minor);
        command.Options.Add(noGuard);
    }

    /// <summary>The rule asked for; the model checks it.</summary>
    public DropRule Rule(ParseResult parsed)
    {
        float below = parsed.GetValue(major) ?? 0;
        return new DropRule { Thresholds = new DropThresholds(below, parsed.GetValue(minor) ?? below), Guard = !parsed.GetValue(noGuard) };
    }
}

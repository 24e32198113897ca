using System.CommandLine;
using DualSparse.Engine;

namespace DualSparse.Cli.Hosting;

/// <summary>The options that say which of a token's experts are skipped.</summary>
internal sealed class DropArguments
{
    private readonly Option<float?> major = NumberOption.Create<float>(
        "--t-major", "Skip an expert whose share of its token's gating scores is below this. [default: 0]");

    private readonly Option<float?> minor = NumberOption.Create<float>(
        "--t-minor", "Compute only the major half of an expert whose share is below this, but not below --t-major. [default: as --t-major]");

    private readonly Option<bool> noGuard = new("--no-guard") { Description = "Let a token's best expert be skipped too." };

    private readonly Option<double?> rate = NumberOption.Create<double>(
        "--drop", "Skip this share of the routed experts' work (0 to 0.75). Thresholds come from dualsparse.json and adapt to the text; without that file each layer has one threshold, and the share may be anything below 1.");

    private readonly Option<double?> generationRate = NumberOption.Create<double>(
        "--drop-generation", "The same for generated tokens. [default: as --drop]");

    private readonly Option<double?> maxKl = NumberOption.Create<double>(
        "--max-kl", "Skip as much as keeps the expected KL to the dense run within this, in nats a token. Needs dualsparse.json, and its thresholds stay fixed.");

    private readonly Option<string?> method = new("--method") { Description = "How --drop and --max-kl choose: search or paper. [default: the best there is]", HelpName = "name" };

    /// <summary>Adds the options to a command.</summary>
    public DropArguments(Command command)
    {
        command.Options.Add(rate);
        command.Options.Add(generationRate);
        command.Options.Add(maxKl);
        command.Options.Add(method);
        command.Options.Add(major);
        command.Options.Add(minor);
        command.Options.Add(noGuard);
    }

    /// <summary>What was asked for; the model checks it.</summary>
    public DropRequest Request(ParseResult parsed)
    {
        bool guard = !parsed.GetValue(noGuard), byThreshold = parsed.GetValue(major) is not null || parsed.GetValue(minor) is not null;
        var (share, kl, name) = (parsed.GetValue(rate), parsed.GetValue(maxKl), parsed.GetValue(method)?.ToLowerInvariant());
        if ((share is null ? 0 : 1) + (kl is null ? 0 : 1) + (byThreshold ? 1 : 0) > 1)
            throw new ArgumentException("--drop, --max-kl and --t-major/--t-minor are three ways to say one thing: give one of them");
        if (name is not null && share is null && kl is null && parsed.GetValue(generationRate) is null)
            throw new ArgumentException("--method says how --drop or --max-kl chooses: give one of them too");
        float below = parsed.GetValue(major) ?? 0;
        return new DropRequest
        {
            Thresholds = new DropThresholds(below, parsed.GetValue(minor) ?? below),
            Rate = share,
            MaxKl = kl,
            Method = share is null && kl is null ? null : name,
            Guard = guard,
            Generated = parsed.GetValue(generationRate) is { } other ? new DropRequest { Rate = other, Method = name, Guard = guard } : null,
        };
    }
}

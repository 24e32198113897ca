using System.CommandLine;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Hosting;

/// <summary>The options of every command that runs a model: in which weights, on how many threads.</summary>
internal sealed class EngineArguments
{
    // More than any machine has; beyond it a typing error would start threads until the system refuses.
    private const int MostThreads = 1024;

    // The one that is taken unless another is named stands first.
    private static readonly string[] Formats =
        [.. WeightFormats.All.OrderByDescending(f => f.Format == new EngineOptions().Weights).Select(f => f.Name)];

    private static readonly string Choice = $"{string.Join(", ", Formats[..^1])} or {Formats[^1]}";

    private readonly Option<string> weights = new("--weights", "-w") { Description = $"How weights are kept in memory: {Choice}.", HelpName = "format" };

    private readonly Option<int?> threads = NumberOption.Create<int>("--threads", "Threads to compute on. [default: as many as this process may use]", "-t");

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="usual">The weights where none are named; null: the engine's.</param>
    public EngineArguments(Command command, WeightFormat? usual = null)
    {
        string name = usual is { } format ? WeightFormats.All.Single(f => f.Format == format).Name : Formats[0];
        weights.DefaultValueFactory = _ => name;
        weights.Validators.Add(result =>
        {
            string value = result.GetValueOrDefault<string>();
            if (WeightFormats.Named(value.ToLowerInvariant()) is null)
                result.AddError($"--weights is '{value}', expected {Choice}");
        });
        command.Options.Add(weights);
        command.Options.Add(threads);
    }

    /// <summary>The options as another process of this program is given them.</summary>
    public IEnumerable<string> Arguments(ParseResult parsed) =>
        ["--weights", parsed.GetValue(weights)!, .. parsed.GetValue(threads) is { } count ? ["--threads", $"{count}"] : Array.Empty<string>()];

    /// <summary>How it is to be loaded.</summary>
    /// <exception cref="ArgumentException">A number that makes no sense.</exception>
    public EngineOptions Engine(ParseResult parsed)
    {
        int? count = parsed.GetValue(threads);
        if (count is < 1 or > MostThreads)
            throw new ArgumentException($"--threads is {count}, expected 1 to {MostThreads}");
        return new EngineOptions
        {
            Weights = WeightFormats.Named(parsed.GetValue(weights)!.ToLowerInvariant())!.Value,
            Threads = count,
            Kernels = KernelSet.Best(),
        };
    }
}

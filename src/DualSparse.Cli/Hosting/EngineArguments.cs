using System.CommandLine;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Hosting;

/// <summary>The options of every command that runs a model: which, in which weights, on how many threads.</summary>
internal sealed class EngineArguments
{
    // More than any machine has; beyond it a typing error would start threads until the system refuses.
    private const int MostThreads = 1024;

    // The one that is taken unless another is named stands first.
    private static readonly string[] Formats =
        [.. WeightFormats.All.OrderByDescending(f => f.Format == new EngineOptions().Weights).Select(f => f.Name)];

    private static readonly string Choice = $"{string.Join(", ", Formats[..^1])} or {Formats[^1]}";

    private readonly Option<string?> model = new("--model", "-m")
    {
        Description = $"The model's folder. [default: {ModelFolder.Default}]",
        HelpName = "folder",
    };

    private readonly Option<string> weights = new("--weights", "-w")
    {
        Description = $"How weights are kept: {Choice}.",
        HelpName = "format",
        DefaultValueFactory = _ => Formats[0],
    };

    private readonly Option<int?> threads = NumberOption.Create<int>("--threads", "Threads. [default: as many as this process may use]", "-t");

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="withModel">Whether the model is an option; otherwise the command names it in its own way.</param>
    public EngineArguments(Command command, bool withModel = true)
    {
        weights.Validators.Add(result =>
        {
            string value = result.GetValueOrDefault<string>();
            if (WeightFormats.Named(value) is null)
                result.AddError($"--weights is '{value}', expected {Choice}");
        });
        if (withModel)
            command.Options.Add(model);
        command.Options.Add(weights);
        command.Options.Add(threads);
    }

    /// <summary>The folder of the model.</summary>
    public string Folder(ParseResult parsed) => ModelFolder.Find(parsed.GetValue(model));

    /// <summary>How it is to be loaded.</summary>
    /// <exception cref="ArgumentException">A number that makes no sense.</exception>
    public EngineOptions Engine(ParseResult parsed)
    {
        int? count = parsed.GetValue(threads);
        if (count is < 1 or > MostThreads)
            throw new ArgumentException($"--threads is {count}, expected 1 to {MostThreads}");
        return new EngineOptions
        {
            Weights = WeightFormats.Named(parsed.GetValue(weights)!)!.Value,
            Threads = count,
            Kernels = KernelSet.Best(),
        };
    }
}

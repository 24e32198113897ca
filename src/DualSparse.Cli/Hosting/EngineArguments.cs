using System.CommandLine;
using DualSparse.Engine;
using DualSparse.Kernels;

namespace DualSparse.Cli.Hosting;

/// <summary>The options of every command that runs a model: which, in which weights, on how many threads.</summary>
internal sealed class EngineArguments
{
    // More than any machine has; beyond it a typing error would start threads until the system refuses.
    private const int MostThreads = 1024;

    private readonly Option<string?> model = new("--model", "-m")
    {
        Description = $"The model's folder. [default: {ModelFolder.Default}]",
        HelpName = "folder",
    };

    private readonly Option<string> weights = new("--weights", "-w")
    {
        Description = "How weights are kept: bf16, f32, int8 or int4.",
        HelpName = "format",
        DefaultValueFactory = _ => "bf16",
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
            if (value is not ("bf16" or "f32" or "int8" or "int4"))
                result.AddError($"--weights is '{value}', expected bf16, f32, int8 or int4");
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
            Weights = Enum.Parse<WeightFormat>(parsed.GetValue(weights)!, ignoreCase: true),
            Threads = count,
            Kernels = KernelSet.Best(),
        };
    }
}

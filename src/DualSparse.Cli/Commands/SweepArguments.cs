using System.CommandLine;
using System.Globalization;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Sweep;
using DualSparse.Models;
using DualSparse.Sparsify;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse eval MODEL --sweep</c>: ways to skip work, compared at equal drop.</summary>
internal sealed class SweepArguments
{
    // Of eight experts a smaller top-k skips eighths.
    private const string DefaultRates = "0.125,0.25,0.375,0.5";

    private const int DefaultSeeds = 5;

    private static readonly string[] s_ingredients = ["means", "layers", "contribution", "combination"];

    private readonly Option<bool> sweep = new("--sweep") { Description = "Compare ways to skip work at equal drop rates: each method's threshold is set so that it skips the same share." };

    private readonly Option<string> rates = new("--rates")
    {
        Description = "The sweep's drop rates.",
        HelpName = "x,x…",
        DefaultValueFactory = _ => DefaultRates,
    };

    private readonly Option<string?> methods = new("--methods")
    {
        Description = $"The sweep's methods: all, or some of 1t, 2t, stored, random, reversed, top-k, relative, search, {string.Join(", ", s_ingredients)}. [default: all that apply but the last four]",
        HelpName = "names",
    };

    private readonly Option<string?> original = new("--original") { Description = "The model that the sweep's was sparsified from, for the method stored.", HelpName = "folder" };

    private readonly Option<int?> seeds = NumberOption.Create<int>("--seeds", $"Random orders of neurons in the sweep. [default: {DefaultSeeds}]");

    private readonly Option<string?> picture = new("--picture") { Description = "Draw the sweep into an SVG file.", HelpName = "file" };

    public SweepArguments(Command command)
    {
        foreach (Option option in new Option[] { sweep, rates, methods, original, seeds, picture })
            command.Options.Add(option);
        command.Validators.Add(result =>
        {
            string[] besides = result.GetResult(sweep) is null
                ? ["--rates", "--methods", "--original", "--seeds", "--picture"]
                : ["--drop", "--drop-generation", "--max-kl", "--method", "--t-major", "--t-minor", "--no-guard", "--tasks", "--ranks"];
            foreach (var option in command.Options)
            {
                if (besides.Contains(option.Name) && result.GetResult(option) is { Implicit: false })
                    result.AddError(result.GetResult(sweep) is null ? $"{option.Name} goes with --sweep" : $"--sweep sets drop rates itself, on texts: {option.Name} has no meaning beside it");
            }
        });
    }

    /// <summary>Whether a sweep is asked for.</summary>
    public bool Given(ParseResult parsed) => parsed.GetValue(sweep);

    public int Run(ParseResult parsed, string folder, IReadOnlyList<TextWindows> texts, EngineOptions engine, bool json)
    {
        string? from = parsed.GetValue(original) is { } given ? ModelFolder.Find(given) : null;
        var chosen = Methods(parsed.GetValue(methods)?.ToLowerInvariant(), Available(folder, from is not null, parsed.GetValue(seeds) ?? DefaultSeeds));
        double[] goals = [.. parsed.GetValue(rates)!.Split(',').Select(Rate)];
        string? file = parsed.GetValue(picture);
        OutputFile.Check("--picture", file);
        using var interrupt = new Interrupt();
        var points = ProgressBars.Show(parsed.InvocationConfiguration.Error, bars => SweepRun.Run(folder, from, texts, chosen, goals, engine, bars?.Stage("sweeping"), interrupt.Token));
        SweepOutput.Write(parsed.InvocationConfiguration.Output, points, json);
        if (file is not null)
            File.WriteAllText(file, SweepPicture.Draw(points));
        return 0;
    }

    private static IReadOnlyList<SweepMethod> Available(string folder, bool original, int seeds)
    {
        if (seeds < 0)
            throw new ArgumentException($"--seeds is {seeds}, expected 0 or more");
        var report = SparsifyReport.Find(folder);
        IReadOnlyList<float>?[]? norms = report?.Layers?.Any(l => l.OutputNorms is not null) ?? false
            ? [.. Enumerable.Range(0, ModelConfig.Load(folder).Layers).Select(l => report.Layers.FirstOrDefault(r => r.Layer == l)?.OutputNorms)]
            : null;
        return SweepMethods.Of(DropProfile.Find(folder), norms, original, seeds);
    }

    private static IReadOnlyList<SweepMethod> Methods(string? names, IReadOnlyList<SweepMethod> available)
    {
        if (names is null or "all")
            return [.. available.Where(m => names is not null || !s_ingredients.Contains(m.Name))];
        string[] wanted = names.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] kinds = [.. available.Select(m => SweepMethods.Kind(m.Name)).Distinct()];
        if (wanted.FirstOrDefault(w => !kinds.Contains(w)) is { } unknown)
        {
            throw new ArgumentException(unknown == SweepMethods.Stored
                ? $"--methods {unknown} needs --original, the model that this one was sparsified from"
                : $"there is no method '{unknown}' for this model, expected some of {string.Join(", ", kinds)}");
        }

        return [.. available.Where(m => wanted.Contains(SweepMethods.Kind(m.Name)))];
    }

    private static double Rate(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double rate)
        ? rate
        : throw new ArgumentException($"--rates has '{text}', expected numbers with commas between them");
}

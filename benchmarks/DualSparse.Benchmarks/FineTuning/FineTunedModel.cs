using System.Globalization;
using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks.FineTuning;

/// <summary>
/// One model of the comparison, from the transformation to its figures. Each step leaves a file when it is done, and isn't done again; training
/// that was interrupted goes on from its last checkpoint.
/// </summary>
/// <param name="options">What is compared.</param>
/// <param name="parts">P.</param>
/// <param name="seed">The training's seed; null: not fine-tuned.</param>
internal sealed class FineTunedModel(FineTuningOptions options, int parts, int? seed)
{
    private readonly string folder = Directory.CreateDirectory(Path.Combine(options.Output, Name(parts, seed))).FullName;

    private StepFiles Files => new(folder);

    /// <summary>P.</summary>
    public int Parts => parts;

    /// <summary>The seed; null: not fine-tuned.</summary>
    public int? Seed => seed;

    /// <summary>Does what isn't done yet.</summary>
    /// <returns>The figures, as <c>FOLDER.json</c> has them.</returns>
    public JsonObject Run()
    {
        string completed = Completed();
        var figures = new JsonObject { ["parts"] = parts, ["seed"] = seed };
        if (seed is not null)
            figures["training"] = Files.Step("training", () => Train(completed));
        string trained = seed is null ? completed : Path.Combine(folder, "model");
        string ordered = Path.Combine(folder, "ordered");
        // Neurons in order of importance: of a drop with two thresholds, the first half stays.
        if (!Directory.Exists(ordered))
            ProgramRun.Of("sparsify", trained, "-o", ordered, "--no-search");
        string[] texts = [.. options.Evaluation.SelectMany(text => new[] { "--text", text }), "--windows", Number(options.Windows), "--json"];
        figures["dense"] = Files.Step("dense", () => ProgramRun.Of(["eval", ordered, .. texts]))["texts"]!.DeepClone();
        figures["dropped"] = Files.Step("dropped", () => ProgramRun.Of(["eval", ordered, "--sweep", "--methods", "1t,2t", "--rates", Number(options.Rate), .. texts]))["sweep"]!.DeepClone();
        if (options.Tasks is not null)
        {
            figures["tasks"] = Files.Step("tasks", () => ProgramRun.Of(
                "eval", ordered, "--tasks", "all", "--data", options.Tasks, "--limit", Number(options.Limit), "--drop", Number(options.Rate), "--json"))["tasks"]!.DeepClone();
        }

        StepFiles.Write(folder + ".json", figures.ToString());
        return figures;
    }

    private string Completed()
    {
        if (parts == 1)
            return options.Model;
        string completed = Path.Combine(options.Output, $"complete-{parts}");
        if (!Directory.Exists(completed))
            ProgramRun.Of("sparsify", options.Model, "-o", completed, "--complete", Number(parts));
        return completed;
    }

    private string Train(string completed)
    {
        string model = Path.Combine(folder, "model");
        return Directory.Exists(Path.Combine(model, "training"))
            ? ProgramRun.Of("train", "--resume", model, "--json")
            : ProgramRun.Of(["train", "--init", completed, "--text", .. options.Texts, "-o", model, "--tokens", Number(options.Tokens), "--seed", Number(seed!.Value), "--json", .. options.Training]);
    }

    private static string Name(int parts, int? seed) => seed is null ? $"p{parts}-before" : $"p{parts}-seed{seed}";

    private static string Number(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);
}

using DualSparse.Benchmarks.FineTuning;

namespace DualSparse.Benchmarks.Wiring;

/// <summary>
/// Whether a shortcut costs quality (ScMoE, arXiv 2404.05019): equal tokens, equal active parameters, several seeds, measured on texts that no model
/// has seen. What is there already is not done again, so a comparison that was cut short goes on.
/// </summary>
internal static class WiringBenchmark
{
    private const string Usage = "usage: wirings OUT TEXT,… EVAL,… SEEDS TOKENS WINDOWS [options of train]";

    /// <summary>Runs what isn't done yet and writes the page.</summary>
    public static int Run(string[] args)
    {
        if (args is not [var output, var texts, var evaluation, var seedText, var tokens, var windows, .. var training])
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        int[] seeds = [.. seedText.Split(',').Select(int.Parse)];
        List<WiringRun> runs = [];
        // Seed by seed: a comparison that is cut short has all variants of some seeds.
        foreach (var (seed, variant) in seeds.SelectMany(seed => WiringVariant.All.Select(variant => (seed, variant))))
        {
            string folder = Directory.CreateDirectory(Path.Combine(output, $"{variant.Folder}-seed{seed}")).FullName, model = Path.Combine(folder, "model"), config = Path.Combine(folder, "config.json");
            StepFiles.Write(config, variant.Config());
            var files = new StepFiles(folder);
            try
            {
                var trained = files.Step("training", () => Directory.Exists(Path.Combine(model, "training"))
                    ? ProgramRun.Of("train", "--resume", model, "--json")
                    : ProgramRun.Of(["train", "--config", config, "--tokenizer", Path.Combine(ProgramRun.Root, "models", "olmoe-mini"), "--text", .. texts.Split(','), "-o", model, "--tokens", tokens, "--seed", $"{seed}", "--json", .. training]));
                var measured = files.Step("eval", () => ProgramRun.Of(["eval", model, .. evaluation.Split(',').SelectMany(text => new[] { "--text", text }), "--windows", windows, "--weights", "f32", "--json"]));
                runs.Add(new WiringRun(variant, seed, trained["seconds"]!.GetValue<double>(), measured["texts"]!.AsObject().ToDictionary(text => text.Key, text => text.Value!["nll"]!["value"]!.GetValue<double>())));
            }
            catch (InvalidOperationException e)
            {
                Console.Error.WriteLine($"{e.Message}; the same command goes on from here");
                return 1;
            }
        }

        string page = WiringPage.Of(runs, tokens, windows), path = Path.Combine(output, "README.md");
        File.WriteAllText(path, page);
        Console.WriteLine(page);
        return 0;
    }
}

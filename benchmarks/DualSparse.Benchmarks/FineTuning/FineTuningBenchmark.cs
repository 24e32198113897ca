using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks.FineTuning;

/// <summary>
/// Whether experts cut into P by the complete transformation learn and drop better (arXiv 2508.18376, §5): equal functions, fine-tuned on equal
/// tokens with several seeds, then measured on texts that they haven't seen and on tasks, as they are and with a share of the work dropped.
/// </summary>
internal static class FineTuningBenchmark
{
    /// <summary>Runs what isn't done yet and writes the page.</summary>
    public static int Run(string[] args)
    {
        if (FineTuningOptions.Parse(args) is not { } options)
        {
            Console.Error.WriteLine(FineTuningOptions.Usage);
            return 1;
        }

        List<(FineTunedModel Model, JsonObject Figures)> runs = [];
        // Seed by seed: a comparison that is cut short has all P of some seeds.
        int?[] seeds = [null, .. options.Seeds.Select(seed => (int?)seed)];
        foreach (var model in seeds.SelectMany(seed => options.Parts.Select(parts => new FineTunedModel(options, parts, seed))))
        {
            try
            {
                runs.Add((model, model.Run()));
            }
            catch (InvalidOperationException e)
            {
                Console.Error.WriteLine($"{e.Message}; the same command goes on from here");
                return 1;
            }
        }

        string page = new FineTuningPage(options, runs).ToString(), path = Path.Combine(options.Output, "README.md");
        File.WriteAllText(path, page);
        Console.WriteLine(page);
        Console.WriteLine(path);
        return 0;
    }
}

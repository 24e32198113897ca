using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks.FineTuning;

/// <summary>The comparison as a page: means over seeds with their intervals, and each run with its intervals over windows.</summary>
internal sealed class FineTuningPage(FineTuningOptions options, IReadOnlyList<(FineTunedModel Model, JsonObject Figures)> runs)
{
    private readonly StringBuilder text = new();

    /// <summary>The page.</summary>
    public override string ToString()
    {
        text.Clear();
        Line("# Fine-tuning after the complete transformation");
        Line();
        Line($"{options.Model} cut into P = {string.Join(", ", options.Parts)}, {options.Tokens} tokens each, seeds {string.Join(", ", options.Seeds)}, drop at {Show(options.Rate * 100, "0.#")} %. "
            + "Intervals are 95 %: of means over seeds by Student's t, of single runs over windows by bootstrap. Differences are of runs of the same seed. "
            + "Least difference: what two means must differ by to be significant at 5 %, from the spread within each P.");
        foreach (string name in Texts())
        {
            Line();
            Line($"## {name}");
            Summary(
            [
                ("NLL", "0.0000", run => Dense(run, name)["nll"]!["value"]!.GetValue<double>()),
                .. new[] { "1t", "2t" }.SelectMany(method => new (string, string, Func<JsonObject, double>)[]
                {
                    ($"KL, {method}", "0.00000", run => Dropped(run, name, method)["kl"]!["value"]!.GetValue<double>()),
                    ($"NLL, {method}", "0.0000", run => Dense(run, name)["nll"]!["value"]!.GetValue<double>() + Dropped(run, name, method)["deltaNll"]!["value"]!.GetValue<double>()),
                    ($"ΔNLL, {method}", "0.0000", run => Dropped(run, name, method)["deltaNll"]!["value"]!.GetValue<double>()),
                }),
            ]);
            Runs(name);
        }

        if (runs.Any(run => run.Figures["tasks"] is not null))
        {
            Line();
            Line($"## Tasks, at most {options.Limit} items each");
            string[] tasks = [.. runs[0].Figures["tasks"]!.AsObject().Select(task => task.Key)];
            Summary(
            [
                ("mean accuracy, points", "0.00", run => 100 * tasks.Average(task => Task(run, task, "denseAcc"))),
                ("the same, dropped", "0.00", run => 100 * tasks.Average(task => Task(run, task, "acc"))),
                .. tasks.SelectMany(task => new (string, string, Func<JsonObject, double>)[]
                {
                    (task, "0.0", run => 100 * Task(run, task, "denseAcc")), ($"{task}, dropped", "0.0", run => 100 * Task(run, task, "acc")),
                }),
            ]);
        }

        return text.ToString();
    }

    private IEnumerable<string> Texts() => runs[0].Figures["dense"]!.AsObject().Select(entry => entry.Key);

    private void Summary(IReadOnlyList<(string Name, string Format, Func<JsonObject, double> Value)> figures)
    {
        int[] others = [.. options.Parts.Where(p => p != options.Parts[0])];
        Line();
        Row(["figure", .. options.Parts.SelectMany(p => new[] { $"P = {p}, before", $"P = {p}, tuned" }), .. others.Select(p => $"P = {p} less P = {options.Parts[0]}"), "least difference"]);
        Row(Enumerable.Repeat("---", 2 + 2 * options.Parts.Count + others.Length));
        foreach (var (name, format, value) in figures)
        {
            double[][] tuned = [.. options.Parts.Select(p => Tuned(p, value))];
            var cells = options.Parts.Zip(tuned).SelectMany(column => new[] { Show(Before(column.First, value), format), Interval(column.Second, format) });
            var differences = others.Select(p => Interval([.. Tuned(p, value).Zip(tuned[0], (one, first) => one - first)], format));
            Row([name, .. cells, .. differences, Show(SeedStatistics.LeastDifference(tuned), format)]);
        }
    }

    private void Runs(string name)
    {
        Line();
        Row(["run", "NLL", "KL, 1t", "ΔNLL, 1t", "dropped", "KL, 2t", "ΔNLL, 2t", "dropped", "trained for"]);
        Row(Enumerable.Repeat("---", 9));
        foreach (var (model, figures) in runs)
        {
            string[] methods = [.. new[] { "1t", "2t" }.SelectMany(method => new[]
            {
                Interval(Dropped(figures, name, method)["kl"]!, "0.00000"), Interval(Dropped(figures, name, method)["deltaNll"]!, "0.0000"),
                $"{Show(100 * Dropped(figures, name, method)["dropRate"]!.GetValue<double>(), "0.0")} %",
            })];
            string seconds = figures["training"]?["seconds"]?.GetValue<double>() is { } s ? $"{Show(s / 60, "0.0")} min" : "";
            Row([$"P = {model.Parts}, {(model.Seed is { } seed ? $"seed {seed}" : "before")}", Interval(Dense(figures, name)["nll"]!, "0.0000"), .. methods, seconds]);
        }
    }

    private double Before(int parts, Func<JsonObject, double> value) => value(runs.First(run => run.Model.Parts == parts && run.Model.Seed is null).Figures);

    private double[] Tuned(int parts, Func<JsonObject, double> value) => [.. runs.Where(run => run.Model.Parts == parts && run.Model.Seed is not null).Select(run => value(run.Figures))];

    private static JsonNode Dense(JsonObject run, string name) => run["dense"]![name]!;

    private static JsonNode Dropped(JsonObject run, string name, string method) =>
        run["dropped"]!.AsArray().First(row => row!["text"]!.GetValue<string>() == name && row["method"]!.GetValue<string>() == method)!;

    private static double Task(JsonObject run, string task, string figure) => run["tasks"]![task]![figure]!.GetValue<double>();

    private static string Interval(JsonNode figure, string format) =>
        $"{Show(figure["value"]!.GetValue<double>(), format)} ({Show(figure["low"]!.GetValue<double>(), format)} to {Show(figure["high"]!.GetValue<double>(), format)})";

    private static string Interval(IReadOnlyList<double> values, string format) =>
        SeedStatistics.Of(values) is var (mean, half) && double.IsNaN(half) ? Show(mean, format) : $"{Show(mean, format)} ± {Show(half, format)}";

    private static string Show(double value, string format) => double.IsNaN(value) ? "" : value.ToString(format, CultureInfo.InvariantCulture).Replace('-', '−');

    private void Row(IEnumerable<string> cells) => Line($"| {string.Join(" | ", cells)} |");

    private void Line(string line = "") => text.Append(line).Append('\n');
}

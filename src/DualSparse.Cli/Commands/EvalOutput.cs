using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Tasks;
using Spectre.Console;

namespace DualSparse.Cli.Commands;

/// <summary>A task without a drop and, where there is one, with it.</summary>
internal sealed record TaskScores(TaskResult Dense, TaskResult? Dropped)
{
    /// <summary>What the run asked for.</summary>
    public TaskResult Result => Dropped ?? Dense;

    /// <summary>Accuracy under the drop less without, item by item.</summary>
    public Interval? DeltaAccuracy => Paired((dense, dropped) => (dropped.Right ? 1 : 0) - (dense.Right ? 1 : 0));

    /// <summary>Share of items that turned right or wrong.</summary>
    public Interval? Flips => Paired((dense, dropped) => dense.Right == dropped.Right ? 0 : 1);

    private Interval? Paired(Func<ItemResult, ItemResult, double> figure) =>
        Dropped is null ? null : PairedBootstrap.Mean([.. Dense.Items.Zip(Dropped.Items, figure)]);
}

/// <summary>What <c>eval</c> prints.</summary>
internal static class EvalOutput
{
    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static void Write(IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskScores> tasks, bool json)
    {
        if (json)
            WriteJson(texts, tasks);
        else
            WriteTables(texts, tasks);
    }

    private static void WriteJson(IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskScores> tasks) => Console.WriteLine(JsonSerializer.Serialize(
        new
        {
            Texts = texts.ToDictionary(t => t.Name, t => new
            {
                t.Tokens,
                t.Nll,
                t.Perplexity,
                t.DeltaNll,
                Kl = t.KullbackLeibler,
                t.Flips,
                t.DropRate,
            }),
            Tasks = tasks.ToDictionary(t => t.Result.Task, t => new
            {
                N = t.Result.Items.Count,
                Acc = t.Result.Accuracy,
                AccNorm = t.Result.NormalisedAccuracy,
                DeltaAcc = t.DeltaAccuracy,
                t.Flips,
            }),
        },
        s_json));

    private static void WriteTables(IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskScores> tasks)
    {
        var console = Terminal.Output();
        if (texts.Count > 0)
        {
            var table = Terminal.Table("text", "tokens", "NLL", "perplexity", "ΔNLL", "KL", "flips", "dropped");
            foreach (var t in texts)
            {
                table.AddRow([.. new[] { t.Name, $"{t.Tokens}", Show(t.Nll, "0.0000"), Show(t.Perplexity, "0.000"), Show(t.DeltaNll, "0.0000"), Show(t.KullbackLeibler, "0.0000"),
                    Show(t.Flips, "0.00%"), $"{t.DropRate:0.0%}" }.Select(Cell)]);
            }

            console.Write(table);
        }

        if (tasks.Count > 0)
        {
            var table = Terminal.Table("task", "n", "acc", "acc_norm", "Δacc", "flips");
            foreach (var t in tasks)
            {
                table.AddRow([.. new[] { t.Result.Task, $"{t.Result.Items.Count}", $"{t.Result.Accuracy:0.0000}", $"{t.Result.NormalisedAccuracy:0.0000}",
                    Show(t.DeltaAccuracy, "0.0000"), Show(t.Flips, "0.00%") }.Select(Cell)]);
            }

            console.Write(table);
        }
    }

    private static Text Cell(string text) => new(text);

    private static string Show(Interval? figure, string format) =>
        figure is null ? "" : $"{figure.Value.ToString(format)} ({figure.Low.ToString(format)} to {figure.High.ToString(format)})";
}

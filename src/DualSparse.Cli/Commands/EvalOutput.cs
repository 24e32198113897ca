using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Evaluation;
using static DualSparse.Cli.Hosting.Figures;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>eval</c> prints.</summary>
internal static class EvalOutput
{
    public static void Write(TextWriter output, IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskFigures> tasks, bool json, BalanceTally? balance = null)
    {
        if (json)
            WriteJson(output, texts, tasks, balance);
        else
            WriteTables(output, texts, tasks);
    }

    private static void WriteJson(TextWriter output, IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskFigures> tasks, BalanceTally? balance) => output.WriteLine(JsonSerializer.Serialize(
        new
        {
            Texts = texts.ToDictionary(t => t.Name, t => new
            {
                t.Tokens,
                t.TextTokens,
                t.Nll,
                t.Perplexity,
                t.DeltaNll,
                Kl = t.KullbackLeibler,
                t.Flips,
                t.DropRate,
                t.Expected,
            }),
            Tasks = tasks.ToDictionary(t => t.Task),
            Balance = balance,
        },
        Figures.Json));

    private static void WriteTables(TextWriter output, IReadOnlyList<WindowReport> texts, IReadOnlyList<TaskFigures> tasks)
    {
        if (texts.Count > 0)
        {
            var table = new ResultTable("text", "tokens", "in text", "NLL", "perplexity", "ΔNLL", "KL", "KL expected", "flips", "dropped");
            foreach (var t in texts)
            {
                table.Add(t.Name, $"{t.Tokens}", t.TextTokens is null ? "" : $"{t.TextTokens}", Show(t.Nll, "0.0000"), Show(t.Perplexity, "0.000"), Show(t.DeltaNll, "0.0000"), Show(t.KullbackLeibler, "0.00000"),
                    Show(t.Expected?.Kl, "0.00000"), Show(t.Flips, "0.00%"), $"{t.DropRate:0.0%}");
            }

            table.Write(output);
        }

        if (tasks.Count > 0)
        {
            var table = new ResultTable("task", "n", "cut", "acc", "acc_norm", "Δacc", "right → wrong", "wrong → right", "Δacc_norm", "KL", "dropped");
            foreach (var t in tasks)
            {
                table.Add(t.Task, $"{t.N}", $"{t.Cut}", $"{t.Acc:0.0000}", $"{t.AccNorm:0.0000}", Show(t.DeltaAcc, "0.0000"), $"{t.RightToWrong}", $"{t.WrongToRight}",
                    Show(t.DeltaAccNorm, "0.0000"), Show(t.Kl, "0.00000"), $"{t.DropRate:0.0%}");
            }

            table.Write(output);
            if (tasks.Sum(t => t.Cut) is > 0 and var cut)
                output.WriteLine($"cut: {cut} {(cut == 1 ? "item is" : "items are")} longer than the context, and the model saw only the end; a larger --context keeps all of it");
        }
    }
}

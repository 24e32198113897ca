using System.Globalization;
using DualSparse.Benchmarking;
using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;
using DualSparse.Evaluation;
using DualSparse.Models.Text;

namespace DualSparse.Benchmarks.Systems;

/// <summary>Drop, overlap and precision by rank, none of them, each alone and all at once, on ranks that a launcher has started: time and loss.</summary>
internal static class SystemsBenchmark
{
    private const string Usage = "usage: tests/emulated-hosts --rate 200mbit --ranks -- dotnet …/DualSparse.Benchmarks.dll systems MODEL TEXT,… CONTEXT WINDOWS TOGETHER ROUNDS";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>Runs this rank; the first prints the table.</summary>
    public static int Run(string[] args)
    {
        if (args is not [var model, var files, var context, var windows, var together, var rounds] || MpiLaunch.Current is not { Size: > 1 } launch)
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        return Ranks.Join(launch, s_patience, group =>
        {
            var tokenizer = Tokenizer.Load(model);
            List<TextWindows> texts = [.. files.Split(',').Select(file => TextWindows.Of(Path.GetFileNameWithoutExtension(file), File.ReadAllText(file), tokenizer, int.Parse(context), int.Parse(windows)))];
            var rank = new SystemsRank(group, model, texts, int.Parse(together));
            var results = SystemsSetting.All.Select(_ => new List<SystemsResult>()).ToArray();
            for (int round = 0; round < int.Parse(rounds); round++)
            {
                for (int s = 0; s < results.Length; s++)
                {
                    if (rank.Run(SystemsSetting.All[s], measuresLoss: round == 0) is { } result)
                        results[s].Add(result);
                }
            }

            if (group.Rank == 0)
                Tell(results, texts, int.Parse(context) * int.Parse(together));
            return 0;
        }, (e, name) => Console.Error.WriteLine($"{name}{e.Message}"));
    }

    private static void Tell(List<SystemsResult>[] results, List<TextWindows> texts, int rows)
    {
        double none = Time(results[0]);
        Console.WriteLine($"{MachineFacts.Current()}; passes of {rows} rows a rank, medians of {results[0].Count} rounds (lowest to highest)\n");
        Console.WriteLine($"| on | ms a pass | time / none |{string.Concat(texts.Select(text => $" NLL {text.Name} | less none's | KL |"))} dropped | in int8 |");
        Console.WriteLine($"|---|---|---|{string.Concat(texts.Select(_ => "---|---|---|"))}---|---|");
        for (int s = 0; s < results.Length; s++)
        {
            var first = results[s][0];
            double[] times = [.. results[s].Select(result => 1e3 * result.Seconds)];
            string losses = string.Concat(first.Reports.Zip(results[0][0].Reports, (report, alone) => Invariant(
                $" {report.Nll.Value:0.0000} | {(s == 0 ? "" : Invariant($"{report.Nll.Value - alone.Nll.Value:+0.0000;−0.0000;0}"))} | {(report.KullbackLeibler is { } kl ? Invariant($"{kl.Value:0.00000}") : "")} |")));
            double dropped = first.Reports.Average(report => report.DropRate ?? 0);
            Console.WriteLine(Invariant($"| {SystemsSetting.All[s].Name} | {1e3 * Time(results[s]):0.0} ({times.Min():0.0}–{times.Max():0.0}) | {Time(results[s]) / none:0.00} |{losses} {dropped:0.0 %} | {first.Switched:0 %} |"));
        }
    }

    private static double Time(List<SystemsResult> rounds) => Statistics.Median([.. rounds.Select(result => result.Seconds)]);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

using System.Globalization;

namespace DualSparse.Benchmarks.Balancing;

/// <summary>
/// Loss against predicted time for every way to balance ranks: two texts mixed, one of them marked, in one process that computes what ranks would. What
/// is there already is not done again.
/// </summary>
internal static class BalanceFrontier
{
    private const string Usage = "usage: balance OUT MODEL TEXT MARKED-TEXT SHARE RANKS,… RATES,… WINDOWS";

    // Bandwidth and conversion as if free, int8 twice as fast: loads by arithmetic alone, the same on every machine.
    private const string Rates = "1000000,1,2,1000";

    // Of all ranks together: a pass above any machine's knee.
    private const int WindowsOfPass = 16;

    private static readonly string[] s_placements = ["own:in-order", "own"];

    /// <summary>Runs what isn't done yet and writes page and picture.</summary>
    public static int Run(string[] args)
    {
        if (args is not [var output, var model, var text, var marked, var share, var ranks, var rates, var windows])
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        var files = new StepFiles(Directory.CreateDirectory(output).FullName);
        List<BalancePoint> points = [];
        try
        {
            foreach (int count in ranks.Split(',').Select(int.Parse))
            {
                foreach (string placement in s_placements)
                {
                    foreach (var (balance, rule, rate) in Ways(rates.Split(',')))
                    {
                        var figures = files.Step($"{count}-{placement.Replace(':', '-')}-{balance}-{rule}-{rate}", () => FineTuning.ProgramRun.Of(
                        [
                            "eval", model, "--text", text, "--text", marked, "--mark", marked, "--mark-share", share, "--windows", windows, "--together", $"{Math.Max(1, WindowsOfPass / count)}",
                            "--as-ranks", $"{count}", "--placement", placement, "--balance", balance, "--balance-rule", rule, "--expert-rates", Rates, "--json",
                            .. rate.Length > 0 ? ["--drop", rate] : Array.Empty<string>(),
                        ]));
                        points.Add(new BalancePoint(count, placement, balance, rule, rate.Length > 0 ? double.Parse(rate, CultureInfo.InvariantCulture) : 0, figures));
                    }
                }
            }
        }
        catch (InvalidOperationException e)
        {
            Console.Error.WriteLine($"{e.Message}; the same command goes on from here");
            return 1;
        }

        File.WriteAllText(Path.Combine(output, "balance-frontier.svg"), BalanceFrontierPage.Draw(points));
        string page = BalanceFrontierPage.Table(points);
        File.WriteAllText(Path.Combine(output, "README.md"), page);
        Console.WriteLine(page);
        return 0;
    }

    private static IEnumerable<(string Balance, string Rule, string Rate)> Ways(string[] rates)
    {
        foreach (string rule in new[] { "all", "paper", "makespan" })
        {
            foreach (string rate in rates)
                yield return ("drop", rule, rate);
        }

        foreach (string rule in new[] { "all", "paper", "makespan" })
            yield return ("precision", rule, "");
        foreach (string rate in rates)
            yield return ("both", "makespan", rate);
    }
}

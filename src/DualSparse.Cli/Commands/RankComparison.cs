using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Benchmarking;
using DualSparse.Cli.Hosting;

namespace DualSparse.Cli.Commands;

/// <summary>
/// <c>dualsparse bench --ranks</c>: ranks beside one process that has all cores of this machine. They take turns, each time loaded anew, so that a machine
/// that is slow for a while is slow for both.
/// </summary>
/// <param name="ranks">How ranks are started.</param>
/// <param name="folder">The model's folder.</param>
/// <param name="what">What the model is called.</param>
internal sealed class RankComparison(RankArguments ranks, string folder, string what)
{
    // What the ranks and the one process are given differs in these; they have a value each.
    private static readonly string[] s_own = ["--shape", "--layers", "--rounds", "--save", "--model", "-m"], s_ofRanks = ["--ranks", "--hosts", "--placement", "--peer-timeout", "--threads", "-t"];

    private readonly List<Result> one = [], many = [];
    private string reason = "";
    private JsonNode? facts;

    /// <summary>Runs both in turn and prints a table.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="rounds">Turns.</param>
    /// <param name="asJson">Whether to print JSON.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>The exit code: of the ranks, where they fail.</returns>
    public int Run(ParseResult parsed, int rounds, bool asJson, CancellationToken cancel)
    {
        var errors = parsed.InvocationConfiguration.Error;
        string[] common = ["bench", folder, "--rounds", "1", "--json", .. Without(parsed, [.. s_own])];
        for (int round = 0; round < rounds; round++)
        {
            errors.WriteLine($"round {round + 1} of {rounds}");
            one.AddRange(Read(OneProcess(Without(common, s_ofRanks), cancel)));
            using var output = new MemoryStream();
            using var said = new StringWriter();
            int code = ranks.Start(parsed, common, output, said, cancel);
            if (code != 0)
            {
                errors.Write(said);
                return code;
            }

            many.AddRange(Read(output.ToArray()));
            reason = said.ToString().TrimEnd().Split('\n')[^1];
        }

        Show(parsed.InvocationConfiguration.Output, asJson);
        return 0;
    }

    private void Show(TextWriter output, bool asJson)
    {
        var machine = MachineFacts.Current();
        var rows = one.GroupBy(r => (r.Test, r.Tokens, r.DropRate)).Select(group =>
        {
            double[] alone = [.. group.Select(r => r.TokensPerSecond)];
            double[] together = [.. many.Where(r => (r.Test, r.Tokens, r.DropRate) == group.Key).Select(r => r.TokensPerSecond)];
            double[] ratios = [.. together.Zip(alone, (a, b) => a / b)];
            var (low, high) = Statistics.MedianInterval(ratios);
            return new Comparison(group.Key.Test, group.Key.Tokens, group.Key.DropRate, Statistics.Median(alone), Statistics.Median(together), Statistics.Median(ratios), low, high);
        }).ToArray();
        if (asJson)
        {
            output.WriteLine(JsonSerializer.Serialize(new { machine, facts, reason, results = rows }, ResultPage.Json));
            return;
        }

        Terminal.WriteLine(output, $"{machine.Cpu}, {what}: {reason}");
        var table = new ResultTable(["test", "tokens", "drop", "one process, tokens/s", "ranks, tokens/s", "ranks / one process"]);
        foreach (var row in rows)
            table.Add([row.Test, $"{row.Tokens}", $"{row.DropRate:0.0%}", $"{row.OneProcess:0.0}", $"{row.Ranks:0.0}", $"{row.Ratio:0.000} ({row.RatioLow:0.000}–{row.RatioHigh:0.000})"]);
        table.Write(output);
    }

    private List<Result> Read(byte[] json)
    {
        var rows = JsonNode.Parse(json)!.AsArray();
        facts = rows[0];
        return [.. rows.Select(row => new Result((string)row!["test"]!, (int)row["tokens"]!, (double)row["dropRate"]!, (double)row["tokensPerSecond"]!))];
    }

    private static byte[] OneProcess(string[] arguments, CancellationToken cancel)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "dualsparse.dll"), .. arguments]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        using var end = cancel.Register(() => process.Kill(entireProcessTree: true));
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        return process.ExitCode == 0 ? Encoding.UTF8.GetBytes(text) : throw new IOException($"the one process ended with {process.ExitCode}");
    }

    private string[] Without(ParseResult parsed, string[] options)
    {
        string[] given = [.. parsed.Tokens.Select(token => token.Value)];
        return [.. Without(given, options).Where(token => token is not ("bench" or "--json") && token != folder && Path.GetFullPath(token) != Path.GetFullPath(folder))];
    }

    private static string[] Without(string[] tokens, string[] options)
    {
        List<string> kept = [];
        for (int i = 0; i < tokens.Length; i++)
        {
            if (options.Contains(tokens[i]))
                i++;
            else
                kept.Add(tokens[i]);
        }

        return [.. kept];
    }

    private sealed record Result(string Test, int Tokens, double DropRate, double TokensPerSecond);

    private sealed record Comparison(string Test, int Tokens, double DropRate, double OneProcess, double Ranks, double Ratio, double RatioLow, double RatioHigh);
}

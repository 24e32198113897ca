using System.Globalization;
using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Benchmarking.Serving;
using DualSparse.Cli.Hosting;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>bench serve</c> prints.</summary>
/// <param name="target">The server.</param>
/// <param name="prompts">Prompts.</param>
/// <param name="setting">What was asked for.</param>
/// <param name="own">Whether the server was started for it, on this machine.</param>
internal sealed class ServeOutput(ServeTarget target, PromptSource prompts, ServeSetting setting, bool own)
{
    /// <summary>What was measured.</summary>
    public string Title => $"{target.Model}: {Length(setting.Loads[0].PromptTokens)} in, {setting.Loads[0].OutputTokens} out{(setting.Fields is { } fields ? $", {string.Join(", ", fields.Select(f => $"{f.Key} {f.Value}"))}" : "")}";

    /// <summary>Loads, one a row.</summary>
    public void Write(TextWriter output, IReadOnlyList<ServeReport> reports, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(Facts(new { Results = reports }), Figures.Json));
            return;
        }

        Head(output);
        var table = new ResultTable("load", "answered", "errors", "TTFT ms, p50", "p95", "p99", "ITL ms, p50", "p95", "p99", "tokens/s", "requests/s", "cached");
        foreach (var r in reports)
        {
            table.Add(
                [r.Load, $"{r.Answered} of {r.Requests}", $"{r.Errors.Values.Sum()}", .. Cells(r.FirstToken), .. Cells(r.BetweenTokens), $"{r.TokensPerSecond:0.0}", $"{r.RequestsPerSecond:0.00}", $"{r.CachedShare:0.0%}"]);
        }

        table.Write(output);
        foreach (var r in reports.Where(r => r.Errors.Count > 0))
            Terminal.WriteLine(output, $"errors at {r.Load}: {Kinds(r.Errors)}");
        foreach (string doubt in reports.SelectMany(r => r.Doubts()))
            Terminal.WriteLine(output, doubt);
    }

    /// <summary>A long prompt beside streams.</summary>
    public void Write(TextWriter output, LongPromptReport report, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(Facts(new { LongPrompt = report with { Gaps = [] } }), Figures.Json));
            return;
        }

        Head(output);
        var table = new ResultTable("time between tokens", "ms, p50", "p95", "p99");
        table.Add(["before the long prompt", .. Cells(report.Before)]);
        table.Add([$"from it to its first token ({report.LongSeconds:0.00} s)", .. Cells(report.During)]);
        table.Write(output);
        string tokens = report.LongTokens > 0 ? $"{report.LongTokens} tokens" : Length(setting.LongPrompt!.Value);
        Terminal.WriteLine(output, $"{report.Streams} streams, a prompt of {tokens}: p99 during it over the median before it {(report.Stretch is { } stretch ? stretch.ToString("0.00", CultureInfo.InvariantCulture) : "unknown")}");
        if (report.Error is { } error)
            Terminal.WriteLine(output, $"the long prompt failed: {error}");
        if (report.Broken.Count > 0)
            Terminal.WriteLine(output, $"streams that failed: {Kinds(report.Broken)}");
    }

    /// <summary>Every request, a line each; times in seconds since its load began.</summary>
    public static IEnumerable<string> Csv(IEnumerable<LoadRun> runs)
    {
        yield return "load,due,sent,first_token,ended,prompt_tokens,cached_tokens,output_tokens,events,error";
        foreach (var run in runs)
        {
            foreach (var c in run.Calls)
                yield return FormattableString.Invariant($"{run.Load.Name},{c.Due:0.000000},{c.Sent:0.000000},{(c.FirstToken is { } first ? c.Sent + first : null):0.000000},{c.Ended:0.000000},{c.PromptTokens},{c.CachedTokens},{c.OutputTokens},{c.Pieces.Count},{c.Error}");
        }
    }

    private void Head(TextWriter output)
    {
        var machine = MachineFacts.Current();
        Terminal.WriteLine(output, $"{target}, {Title}; {(prompts.ByTokens ? "lengths in the server's tokens" : $"lengths by {PromptSource.CharactersPerToken} characters a token, as the server has no /tokenize")}");
        Terminal.WriteLine(output, $"{(own ? "server and this program share" : "this program runs on")} {machine.Cpu}, {machine.Cores} {(machine.Cores == 1 ? "core" : "cores")}; seed {setting.Loads[0].Seed}");
    }

    private object Facts(object more) => new { Machine = MachineFacts.Current(), Server = target.ToString(), target.Model, target.Chat, setting.Loads, setting.Fields, LengthsInTokens = prompts.ByTokens, OwnServer = own, Report = more };

    private string Length(int tokens) => prompts.ByTokens ? $"{tokens} tokens" : $"{tokens * PromptSource.CharactersPerToken} characters";

    private static string Kinds(IReadOnlyDictionary<string, int> kinds) => string.Join(", ", kinds.Select(k => $"{k.Value} × {k.Key}"));

    private static string[] Cells(Percentiles? of) => of is null ? ["–", "–", "–"] : [$"{of.P50:0.0}", $"{of.P95:0.0}", $"{of.P99:0.0}"];
}

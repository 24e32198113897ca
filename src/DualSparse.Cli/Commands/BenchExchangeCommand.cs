using System.CommandLine;
using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed.Measuring;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench exchange</c>: the exchange of a layer's rows between ranks, S-ETP beside EP×TP.</summary>
internal static class BenchExchangeCommand
{
    /// <summary>The command's name.</summary>
    public const string Word = "exchange";

    // OLMoE's layer, and a chunk of a prompt.
    private const int DefaultTokens = 512, DefaultHidden = 2048, DefaultExperts = 64, DefaultTopK = 8;

    // Enough for the interval of a median that leaves out the odd slow round.
    private const int DefaultRounds = 21;

    // arXiv 2508.18376: on eight H20 GPUs.
    private const string Paper = "the paper has S-ETP at 3 to 30 % more bandwidth than EP×TP, on H20 GPUs";

    public static Command Create()
    {
        var command = new Command(Word, "Times the exchange of a layer's rows between ranks, without its experts, on every arrangement E×T of the ranks: S-ETP (all-to-all over parts of experts) beside EP×TP (all-to-all and all-gather; reduce-scatter and all-to-all).");
        var tokens = NumberOption.Create<int>("--tokens", $"Rows of each rank. [default: {DefaultTokens}]");
        var hidden = NumberOption.Create<int>("--hidden", $"Values of a row. [default: {DefaultHidden}]");
        var experts = NumberOption.Create<int>("--experts", $"Experts of the layer. [default: {DefaultExperts}]");
        var topK = NumberOption.Create<int>("--top-k", $"Experts of a row. [default: {DefaultTopK}]");
        var zipf = NumberOption.Create<double>("--zipf", "Exponent of the experts' popularity, by Zipf's law. [default: 0, all alike]");
        var rows = Format("--rows", "How rows travel to experts", "bf16");
        var sums = Format("--sums", "How their sums travel back", "f32");
        var pairwise = new Option<bool>("--pairwise") { Description = "Each rank sends to one other at a time, instead of to all at once." };
        var rounds = NumberOption.Create<int>("--rounds", $"Timed rounds of each scheme; they take turns. [default: {DefaultRounds}]");
        var json = new Option<bool>("--json") { Description = "Write JSON." };
        foreach (Option option in new Option[] { tokens, hidden, experts, topK, zipf, rows, sums, pairwise, rounds, json })
            command.Options.Add(option);
        var ranks = new RankArguments(command, model: false);
        command.SetAction(parsed =>
        {
            var shape = new ExchangeShape(
                parsed.GetValue(tokens) ?? DefaultTokens, parsed.GetValue(hidden) ?? DefaultHidden, parsed.GetValue(experts) ?? DefaultExperts, parsed.GetValue(topK) ?? DefaultTopK,
                parsed.GetValue(zipf) ?? 0, Parse(rows.Name, parsed.GetValue(rows)!), Parse(sums.Name, parsed.GetValue(sums)!));
            shape.Check();
            int times = parsed.GetValue(rounds) ?? DefaultRounds;
            if (times < 1)
                throw new ArgumentException($"--rounds is {times}, expected at least 1");
            var order = parsed.GetValue(pairwise) ? MessageOrder.Pairwise : MessageOrder.Together;
            return ranks.Run(parsed, group =>
            {
                var results = ExchangeBenchmark.Run(group, shape, order, times);
                if (group.Rank == 0)
                    Tell(parsed.InvocationConfiguration.Output, new Run(MachineFacts.Current(), Library(group.Library), group.Size, MpiLaunch.Current!.LocalSize, shape, order, times), results, parsed.GetValue(json));
                return 0;
            });
        });
        return command;
    }

    private static Option<string> Format(string name, string description, string usual) =>
        new(name) { Description = $"{description}: bf16 or f32.", HelpName = "format", DefaultValueFactory = _ => usual };

    private static WireFormat Parse(string option, string text) => text.ToLowerInvariant() switch
    {
        "bf16" => WireFormat.Bf16,
        "f32" => WireFormat.F32,
        _ => throw new ArgumentException($"{option} is '{text}', expected bf16 or f32"),
    };

    // Without what Open MPI says of its package, and MPICH's tabulator.
    internal static string Library(string version) => version.Split(',')[0].Replace("Version:\t", "", StringComparison.Ordinal);

    private static void Tell(TextWriter output, Run run, IReadOnlyList<ExchangeComparison> results, bool json)
    {
        Row[] rows = [.. results.SelectMany(result => Rows(run.Shape, result))];
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { run.Machine, run.Mpi, run.Ranks, run.RanksOnFirstMachine, run.Shape, run.Order, run.Rounds, Results = rows }, Figures.Json));
            return;
        }

        string routing = run.Shape.Zipf > 0 ? $"Zipf {run.Shape.Zipf}" : "uniform";
        Terminal.WriteLine(output, $"{run.Machine.Cpu}, {run.Machine.Cores} cores; {run.Mpi}; {run.Ranks} ranks, {run.RanksOnFirstMachine} of them on the first one's machine");
        Terminal.WriteLine(output, $"{run.Shape.Tokens} rows a rank of {run.Shape.Hidden} values, {run.Shape.TopK} of {run.Shape.Experts} experts, {routing}; rows in {run.Shape.Rows}, sums in {run.Shape.Sums}; messages {run.Order}; medians of {run.Rounds} rounds".ToLowerInvariant());
        var table = new ResultTable("E×T", "scheme", "sent a rank, MB", "dispatch ms", "combine ms", "both ms", "input MB/s", "bandwidth, S-ETP / EP×TP");
        foreach (var row in rows)
        {
            string ratio = row.BandwidthRatio is { } middle ? $"{middle:0.000} ({row.BandwidthRatioLow:0.000} to {row.BandwidthRatioHigh:0.000})" : "";
            table.Add(
                $"{row.Groups}×{row.Parts}", row.Scheme, $"{(row.DispatchBytes.Average() + row.CombineBytes.Average()) / 1e6:0.000}", $"{row.DispatchMilliseconds:0.000}",
                $"{row.CombineMilliseconds:0.000}", $"{row.Milliseconds:0.000}", $"{row.MegabytesPerSecond:0.00}", ratio);
        }

        table.Write(output);
        Terminal.WriteLine(output, $"every sum of every round was checked, largest relative difference {rows.Max(row => row.LargestError):0.0e+0}; intervals of 95 %; {Paper}");
    }

    private static IEnumerable<Row> Rows(ExchangeShape shape, ExchangeComparison result)
    {
        double[] ratios = [.. result.BandwidthRatios];
        var (low, high) = Statistics.MedianInterval(ratios);
        yield return Of(shape, result.Arrangement, result.GroupsThenParts);
        yield return Of(shape, result.Arrangement, result.SplitExperts) with { BandwidthRatio = Statistics.Median(ratios), BandwidthRatioLow = low, BandwidthRatioHigh = high };
    }

    private static Row Of(ExchangeShape shape, ExpertArrangement at, ExchangeTimes times)
    {
        double both = Statistics.Median([.. times.Seconds]);
        return new Row(
            at.Groups, at.Parts, times.Scheme.Name(), times.DispatchBytes, times.CombineBytes, 1e3 * Statistics.Median(times.DispatchSeconds), 1e3 * Statistics.Median(times.CombineSeconds),
            1e3 * both, shape.InputBytes / both / 1e6, times.LargestError);
    }

    /// <summary>What was run.</summary>
    private sealed record Run(MachineFacts Machine, string Mpi, int Ranks, int RanksOnFirstMachine, ExchangeShape Shape, MessageOrder Order, int Rounds);

    /// <summary>One scheme on one arrangement, as it is shown.</summary>
    private sealed record Row(
        int Groups, int Parts, string Scheme, IReadOnlyList<long> DispatchBytes, IReadOnlyList<long> CombineBytes, double DispatchMilliseconds, double CombineMilliseconds, double Milliseconds,
        double MegabytesPerSecond, double LargestError, double? BandwidthRatio = null, double? BandwidthRatioLow = null, double? BandwidthRatioHigh = null);
}

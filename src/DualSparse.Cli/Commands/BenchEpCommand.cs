using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Distributed.Mpi;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench ep</c>: the MoE part of a layer on real ranks, on virtual ones, and in one process with all cores.</summary>
internal static class BenchEpCommand
{
    /// <summary>The command's name.</summary>
    public const string Word = "ep";

    private const string DefaultVirtual = "2,4,8,16";

    // More than any placement of the known shapes has experts for.
    private const int MostVirtual = 1024;

    private static readonly Option<double?> s_latency = NumberOption.Create<double>("--latency", "Microseconds that a message takes between virtual ranks; with --bandwidth. [default: measured between real ranks]");
    private static readonly Option<double?> s_bandwidth = NumberOption.Create<double>("--bandwidth", "Megabits a second between virtual ranks; with --latency. [default: measured between real ranks]");
    private static readonly Option<string> s_virtual = new("--virtual") { Description = "Counts of virtual ranks: the work of each is done alone on this machine, one after another.", HelpName = "n,n", DefaultValueFactory = _ => DefaultVirtual };
    private static readonly Option<string?> s_picture = new("--picture") { Description = "Draw the median layer of the real ranks: a lane a rank.", HelpName = "file.svg" };
    private static readonly Option<bool> s_json = new("--json") { Description = "Write JSON." };

    /// <summary>Whether figures are written as JSON.</summary>
    internal static Option<bool> Json => s_json;

    public static Command Create()
    {
        var command = new Command(Word, "Times the MoE part of a layer (dispatch, experts, shared experts, combine) with expert parallelism: over real ranks, over virtual ranks, and in one process with all cores on the same rows.");
        var request = new EpRequest(command);
        foreach (Option option in new Option[] { s_virtual, s_latency, s_bandwidth, s_picture, s_json })
            command.Options.Add(option);
        var balance = new EpBalanceRequest(command);
        var ranks = new RankArguments(command, model: false);
        command.SetAction(parsed =>
        {
            OutputFile.Check(s_picture.Name, parsed.GetValue(s_picture));
            int count = ranks.Count(parsed);
            var link = Link(parsed);
            if (count == 1 && link is null)
                throw new ArgumentException("it is between ranks that this measures: give --ranks 2 or more, or for virtual ranks alone --latency and --bandwidth of the link between them");
            if (count == 1 && parsed.GetValue(s_picture) is not null)
                throw new ArgumentException("--picture shows real ranks: give --ranks 2 or more");
            var balanced = balance.Read(parsed);
            int[] asked = Counts(parsed.GetValue(s_virtual)!);
            var (setting, source) = request.Read(parsed, count == 1 ? 1 : MpiLaunch.Current?.LocalSize ?? count, Math.Max(count, asked.Max()));
            balanced = source.Requests is { } marks ? balance.Marked(parsed, balanced, (double)marks.Marked / marks.Rows) : balanced;
            BalanceArguments.Check(balanced?.Asked, setting.Weights);
            if (balanced is not null && asked.Append(count).Any(n => n > 1 && setting.IsSlice(n)))
                throw new ArgumentException("with slices every rank has as much to do: --balance needs --placement own or hybrid:P");
            if (count > 1 && setting.Misfit(count) is { } misfit)
                throw new ArgumentException(misfit);
            // A rank that has begun can't say it: the others take memory meanwhile.
            if (MpiLaunch.Current is null)
                MemoryBudget.Require(setting.WeightBytes(count == 1 ? 0 : count, asked), $"{setting.Layers} layers of {setting.Shape.Name} on {(count == 1 ? "virtual" : count)} ranks and in one process");
            int[][] pieces = source.Pieces(setting.Tokens, count == 1 ? asked.Min() : count, Math.Max(count, asked.Max()));
            var drawn = source.Drawn(setting);
            // What real ranks can't have is a mistake, said before they start.
            if (count > 1)
                drawn?.Of(count);
            return ranks.Run(parsed, Measure, () => Measure(null));

            int Measure(RankGroup? group)
            {
                string told = $"{setting} {source.Zipf} {source.Hot} {pieces.Length} {source.Requests?.Prompts.Count} {string.Join(',', asked)} {link} {balanced}";
                if (group is not null)
                    new Rendezvous(group).Agree(told);
                var (routing, history) = drawn is null ? source.Captured(group, pieces) : (drawn, null);
                setting = setting with { History = history };
                if (balanced is not null)
                    return balance.Run(parsed, group, setting, routing, request.Placement(parsed), [.. asked.Where(n => setting.Misfit(n) is null && (pieces.Length == 0 || n <= pieces.Length))], link, balanced);
                return Run(parsed, group, setting, routing, pieces.Length, request.Placement(parsed), asked, link);
            }
        });
        return command;
    }

    private static int Run(ParseResult parsed, RankGroup? group, EpSetting setting, EpRouting routing, int pieces, string placement, int[] asked, VirtualLink? given)
    {
        List<string> notes = [];
        // Virtual ranks that can't be are left out.
        int[] counts = [.. asked.Where(ranks => ranks == group?.Size || Fits(ranks))];
        if (counts.Length == 0 && group is null)
            throw new ArgumentException(notes[^1]);
        bool oneMachine = group is null || MpiLaunch.Current!.LocalSize == group.Size;
        bool leads = group is null || group.Rank == 0;
        var run = EpBenchmark.Run(group, setting, routing, counts, given, oneMachine, leads ? parsed.InvocationConfiguration.Error.WriteLine : null);
        if (run is null)
            return 0;
        var report = EpReport.Of(run, setting, routing);
        var told = new Told(MachineFacts.Current(), group is null ? null : BenchExchangeCommand.Library(group.Library), KernelSet.Best()[setting.Weights].Name, Figures.Name(setting.Weights), placement, routing.Name, notes);
        if (parsed.GetValue(s_picture) is { } path)
            File.WriteAllText(path, EpPicture.Draw($"{setting.Shape.Name} layer, {told.Weights}, {run.RealRanks} ranks, {placement}, {setting.Tokens} rows a rank: the median layer, {report.Real!.P50Milliseconds.ToString("0.##", CultureInfo.InvariantCulture)} ms", report.MedianLayer));
        Tell(parsed, setting, run, report, told);
        return 0;

        bool Fits(int ranks)
        {
            if (setting.Misfit(ranks) is { } misfit)
                return Leave(misfit);
            if (pieces > 0 && ranks > pieces)
                return Leave($"{ranks} virtual ranks are left out: the text has rows for {pieces}");
            try
            {
                routing.Of(ranks);
                return true;
            }
            catch (ArgumentException e)
            {
                return Leave($"{ranks} virtual ranks are left out: {e.Message}");
            }
        }

        bool Leave(string why)
        {
            notes.Add(why);
            return false;
        }
    }

    private static void Tell(ParseResult parsed, EpSetting setting, EpRun run, EpReport report, Told told)
    {
        var output = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(s_json))
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                told.Machine,
                told.Mpi,
                told.Kernel,
                told.Weights,
                told.Placement,
                told.Routing,
                setting.Shape,
                setting.Threads,
                setting.Tokens,
                setting.Layers,
                setting.Rounds,
                run.RealRanks,
                run.OneThreads,
                LatencyMicroseconds = 1e6 * run.Link.Rates.LatencySeconds,
                MegabitsPerSecond = run.Link.Rates.BytesPerSecond / Megabit,
                LinkCarriesMeanwhile = run.Link.Carries,
                report.Real,
                Virtual = report.Counts,
                report.Prediction,
                report.PredictionAlone,
                report.MedianLayer,
                told.Notes,
            }, Figures.Json));
            return;
        }

        Terminal.WriteLine(output, $"{told.Machine.Cpu}, {told.Machine.Cores} cores{(told.Mpi is null ? "" : $"; {told.Mpi}")}; kernel {told.Kernel}, weights {told.Weights}, {setting.Threads} {(setting.Threads == 1 ? "thread" : "threads")} a rank");
        Terminal.WriteLine(output, $"{setting.Shape.Name}: {setting.Tokens} rows a rank, {setting.Shape.TopK} of {setting.Shape.Experts} experts, placement {told.Placement}, routing {told.Routing}; medians of {setting.Layers} {(setting.Layers == 1 ? "layer" : "layers")} in {setting.Rounds} {(setting.Rounds == 1 ? "round" : "rounds")}");
        Terminal.WriteLine(output, $"virtual ranks: {1e6 * run.Link.Rates.LatencySeconds:0.##} µs + bytes / {run.Link.Rates.BytesPerSecond / Megabit:0.#} Mbit/s a message, {(run.Link.Carries ? "which travels while ranks compute" : "copied by its receiver while it waits")}");
        foreach (string note in told.Notes)
            Terminal.WriteLine(output, note);
        Table(output, run, report);
        if (report.Real is { } real)
        {
            Terminal.WriteLine(output, $"bytes a token: rows {real.RowBytesPerToken:0.#} counted, {real.RowBytesPerTokenTheory:0.#} in theory; sums {real.SumBytesPerToken:0.#} counted, {real.SumBytesPerTokenTheory:0.#} in theory");
            Terminal.WriteLine(output, $"exchange alone {real.ExchangeMilliseconds:0.000} ms, waits in it {real.PureExchangeMilliseconds:0.000} ms; exposed waits when computing {real.ExposedWaitMilliseconds:0.000} ms: hidden {real.Hidden:0.00} = 1 − exposed / alone; both of the rank that waits least");
            Terminal.WriteLine(output, $"window to hide in {real.WindowMilliseconds:0.000} ms: own share {real.OwnShareMilliseconds:0.000}, later chunks {real.LaterChunksMilliseconds:0.000}, shared experts {real.SharedMilliseconds:0.000}");
        }

        if (report.Prediction is not { } prediction || report.PredictionAlone is not { } alone)
            return;
        Terminal.WriteLine(output, $"virtual over real for {run.RealRanks} ranks: {Ratio(prediction)}, {(prediction.Holds ? "within 10 %: virtual ranks hold here" : "not within 10 %: virtual ranks do not hold here")}; each one's work was timed while the others did theirs");
        Terminal.WriteLine(output, $"timed alone, as on a machine of its own and as in the table: {Ratio(alone)}");

        static string Ratio(EpPrediction of) => $"{of.Ratio:0.000} ({of.Low:0.000} to {of.High:0.000})";
    }

    // Of each count of ranks: the real ones, virtual ones, and one process.
    private static void Table(TextWriter output, EpRun run, EpReport report)
    {
        var table = new ResultTable("on", "layer ms, p50", "p99", "tokens/s", "balancedness", "waiting", "ms of most work", "over one process");
        foreach (var count in report.Counts)
        {
            if (report.Real is { } real && real.Ranks == count.Ranks)
                table.Add($"{count.Ranks} ranks, real", $"{real.P50Milliseconds:0.000}", $"{real.P99Milliseconds:0.000}", $"{real.TokensPerSecond:0}", $"{real.Balancedness:0.000}", $"{real.WaitingShare:0.0%}", "", $"{real.TokensPerSecond / count.OneProcessTokensPerSecond:0.00}");
            table.Add($"{count.Ranks} ranks, virtual", $"{count.VirtualMilliseconds:0.000}", "", $"{count.VirtualTokensPerSecond:0}", $"{count.Balancedness:0.000}", "", $"{count.ComputeMilliseconds:0.000}", $"{count.VirtualTokensPerSecond / count.OneProcessTokensPerSecond:0.00}");
            table.Add($"one process of {run.OneThreads} threads, {count.Ranks} ranks' rows", $"{count.OneProcessMilliseconds:0.000}", "", $"{count.OneProcessTokensPerSecond:0}", "", "", "", "1");
        }

        table.Write(output);
    }

    // 10⁶ bits, in bytes.
    private const double Megabit = 1e6 / 8;

    private static VirtualLink? Link(ParseResult parsed)
    {
        var (latency, bandwidth) = (parsed.GetValue(s_latency), parsed.GetValue(s_bandwidth));
        if (latency is null && bandwidth is null)
            return null;
        if (latency is not { } micro || bandwidth is not { } mega)
            throw new ArgumentException("--latency and --bandwidth make a link together: give both");
        if (!(micro >= 0 && mega > 0))
            throw new ArgumentException($"--latency is {micro} and --bandwidth {mega}, expected at least 0 µs and more than 0 Mbit/s");
        return new VirtualLink(new LinkRates(micro / 1e6, mega * Megabit), Carries: true);
    }

    private static int[] Counts(string list) => [.. list.Split(',').Select(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value is > 1 and <= MostVirtual
        ? value
        : throw new ArgumentException($"'{n}' in {s_virtual.Name}, expected whole numbers from 2 to {MostVirtual} with commas between them"))];

    /// <summary>What a run is told by, beside its figures.</summary>
    private sealed record Told(MachineFacts Machine, string? Mpi, string Kernel, string Weights, string Placement, string Routing, IReadOnlyList<string> Notes);
}

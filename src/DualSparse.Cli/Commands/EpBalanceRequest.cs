using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench ep --balance</c>: layers whose loads are uneven, with and without balance.</summary>
internal sealed class EpBalanceRequest
{
    // The README's.
    private const double DefaultRate = 0.25;

    private readonly Option<double?> rate = NumberOption.Create<double>("--drop", $"With --balance: the share of all rows' work that every rank alike would drop. [default: {DefaultRate}]");
    private readonly Option<double?> marked = NumberOption.Create<double>("--marked", "With --balance: the share of each rank's rows that are marked. [default: 1]");
    private readonly Option<string?> picture = new("--balance-picture") { Description = "With --balance: draw each rank's time before and after.", HelpName = "file.svg" };
    private readonly BalanceArguments arguments;

    /// <summary>Adds the options to a command.</summary>
    public EpBalanceRequest(Command command)
    {
        arguments = new BalanceArguments(command);
        foreach (Option option in new Option[] { rate, marked, picture })
            command.Options.Add(option);
    }

    /// <summary>What is asked for; null: nothing.</summary>
    /// <exception cref="ArgumentException">It makes no sense.</exception>
    public EpBalance? Read(ParseResult parsed)
    {
        Option[] own = [rate, marked, picture];
        if (arguments.Setting(parsed) is not { } setting)
        {
            return own.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } alone
                ? throw new ArgumentException($"{alone.Name} goes with --balance")
                : null;
        }

        var (share, marks) = (parsed.GetValue(rate) ?? DefaultRate, parsed.GetValue(marked) ?? 1);
        if (setting.Rule != BalanceRule.Makespan)
            throw new ArgumentException("bench ep compares all rules: leave --balance-rule out");
        if (setting.Low != LowFormat.Int8)
            throw new ArgumentException("an emulated format has no time of its own: leave --balance-to out");
        if (!(share is > 0 and < 1))
            throw new ArgumentException($"--drop is {share}, expected more than 0 and less than 1");
        if (!(marks is >= 0 and <= 1))
            throw new ArgumentException($"--marked is {marks}, expected 0 to 1");
        OutputFile.Check(picture.Name, parsed.GetValue(picture));
        return new EpBalance(setting, share, marks);
    }

    /// <summary>The same where requests say which rows are marked: those of pictures.</summary>
    /// <exception cref="ArgumentException">The share is given too, or nothing is balanced.</exception>
    public EpBalance Marked(ParseResult parsed, EpBalance? asked, double share) =>
        asked is null ? throw new ArgumentException("--requests goes with --balance")
        : parsed.GetValue(marked) is null ? asked with { Marked = share } : throw new ArgumentException("--requests say which rows are marked: leave --marked out");

    /// <summary>Measures and prints; all ranks call it alike.</summary>
    public int Run(ParseResult parsed, RankGroup? group, EpSetting setting, EpRouting routing, string placement, int[] counts, VirtualLink? given, EpBalance balance)
    {
        if (counts.Length == 0 && group is null)
            throw new ArgumentException("none of the counts of virtual ranks fits: give others by --virtual");
        bool leads = group is null || group.Rank == 0;
        var (rates, link) = Measured(group, setting, balance.Asked.Rates, given);
        balance = balance with { Asked = balance.Asked with { Rates = rates } };
        var run = BalanceBenchmark.Run(group, setting, routing, counts, link, balance, leads ? parsed.InvocationConfiguration.Error.WriteLine : null);
        if (run is null)
            return 0;
        var figures = BalanceFigures.Of(run, setting);
        int knee = balance.Asked.Knee ?? rates.Knee(WeightFormats.Of(setting.Weights).WeightBytes, setting.Shape.Experts, setting.Shape.TopK);
        if (parsed.GetValue(picture) is { } path)
            File.WriteAllText(path, BalancePicture.Draw($"{setting.Shape.Name} layer, {Figures.Name(setting.Weights)}, {setting.Tokens} rows a rank, routing {routing.Name}: each rank's experts", figures));
        Tell(parsed, setting, routing, placement, balance, run, figures, knee);
        return 0;
    }

    private static void Tell(ParseResult parsed, EpSetting setting, EpRouting routing, string placement, EpBalance balance, BalanceRun run, IReadOnlyList<BalanceFigures> figures, int knee)
    {
        var output = parsed.InvocationConfiguration.Output;
        var machine = MachineFacts.Current();
        var rates = balance.Asked.Rates;
        string kernel = KernelSet.Best()[setting.Weights].Name;
        if (parsed.GetValue(BenchEpCommand.Json))
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                Machine = machine,
                Kernel = kernel,
                Weights = Figures.Name(setting.Weights),
                Placement = placement,
                Routing = routing.Name,
                setting.Shape,
                setting.Threads,
                setting.Tokens,
                setting.Layers,
                setting.Rounds,
                balance.Rate,
                balance.Marked,
                Rates = rates,
                Knee = knee,
                Figures = figures,
            }, Figures.Json));
            return;
        }

        Terminal.WriteLine(output, $"{machine.Cpu}, {machine.Cores} cores; kernel {kernel}, weights {Figures.Name(setting.Weights)}, {setting.Threads} {(setting.Threads == 1 ? "thread" : "threads")} a rank");
        Terminal.WriteLine(output, $"{setting.Shape.Name}: {setting.Tokens} rows a rank, {balance.Marked:0 %} of them marked, {setting.Shape.TopK} of {setting.Shape.Experts} experts, placement {placement}, routing {routing.Name}; medians of {setting.Layers} {(setting.Layers == 1 ? "layer" : "layers")} in {setting.Rounds} {(setting.Rounds == 1 ? "round" : "rounds")}");
        Terminal.WriteLine(output, $"experts: {rates.BytesPerSecond / 1e9:0.##} GB/s, {rates.OperationsPerSecond / 1e9:0.#} and in int8 {rates.LowOperationsPerSecond / 1e9:0.#} GFLOP/s, {rates.ConvertBytesPerSecond / 1e9:0.##} GB/s converted; {(knee == int.MaxValue ? "it never pays to switch" : $"ranks switch above {knee} rows")}");
        Terminal.WriteLine(output, $"virtual ranks: {1e6 * run.Link.Rates.LatencySeconds:0.##} µs + bytes / {run.Link.Rates.BytesPerSecond * 8 / 1e6:0.#} Mbit/s a message, {(run.Link.Carries ? "which travels while ranks compute" : "copied by its receiver while it waits")}");
        var table = new ResultTable("on", "balance", "experts ms", "gain", "layer ms", "gain", "bound", "taken", "dropped", "in int8", "converting ms", "exposed ms", "decision µs", "all-gather µs");
        foreach (var f in figures)
        {
            table.Add($"{f.Ranks} ranks, {(f.Real ? "real" : "virtual")}", f.Variant, $"{f.ExpertsMilliseconds:0.000}", $"{f.ExpertsGain:0.00}", $"{f.LayerMilliseconds:0.000}", $"{f.LayerGain:0.00}",
                $"{f.Bound:0.0%}", $"{f.Taken:0.00}", $"{f.Dropped:0.0%}", $"{f.Switched:0.0%}", f.Real ? "" : $"{f.ConvertMilliseconds:0.000}", f.Real ? "" : $"{f.ExposedMilliseconds:0.000}", $"{f.DecisionMicroseconds:0.#}", f.Real ? $"{f.LoadsMicroseconds:0.#}" : "");
        }

        table.Write(output);
        if (setting.Layers > 1)
        {
            var layers = new ResultTable("on", "balance", "layer", "max / mean", "experts' share", "experts gain", "layer gain");
            foreach (var f in figures)
            {
                foreach (var (layer, of) in f.Layers.Index())
                    layers.Add($"{f.Ranks} ranks, {(f.Real ? "real" : "virtual")}", f.Variant, $"{layer}", $"{of.Over:0.00}", $"{of.ExpertsShare:0%}", $"{of.ExpertsGain:0.00}", $"{of.LayerGain:0.00}");
            }

            layers.Write(output);
        }

        Terminal.WriteLine(output, "bound: (max − mean) / max of the ranks' experts without balance; taken: the share of it that is saved. Of real ranks, converting is a part of the layer and not of the experts");
    }

    // The slowest rank's rates, the same on all ranks, and the way between them.
    private static (ExpertRates Rates, VirtualLink Link) Measured(RankGroup? group, EpSetting setting, ExpertRates rates, VirtualLink? link)
    {
        int hidden = setting.Shape.Hidden;
        if (group is null)
            return (rates == default ? ExpertProbe.Measure(setting.Weights, hidden, setting.Shape.Neurons / setting.PartsOf(1), setting.Threads) : rates, link!);
        bool oneMachine = MpiLaunch.Current!.LocalSize == group.Size;
        using var letter = new RankLetter();
        if (group.Rank != 0)
        {
            RankProbe.Answer(group, setting.Weights, setting.Threads);
            return (MemoryMarshal.Read<ExpertRates>(letter.Receive(group, 0, RankTag.Figures)), link ?? new VirtualLink(default, Carries: !oneMachine));
        }

        if (rates == default)
            rates = RankProbe.MeasureExperts(group, setting.Weights, hidden, setting.Shape.Neurons / setting.PartsOf(group.Size), setting.Threads);
        if (link is null)
            link = new VirtualLink(RankProbe.Measure(group, setting.Weights, setting.Threads).Link, Carries: !oneMachine);
        else
            RankProbe.Finish(group);
        letter.SendToAll(group, RankTag.Figures, MemoryMarshal.AsBytes(new ReadOnlySpan<ExpertRates>(in rates)), "what experts are computed with");
        return (rates, link);
    }
}

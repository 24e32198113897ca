using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ShortcutExperts;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench scmoe</c>: a pair of layers over two ranks, with and without a shortcut, over emulated links or over those that there are.</summary>
internal static class BenchScMoeCommand
{
    private const string Word = "scmoe", DefaultShares = "15,50,60";
    private const int DefaultHidden = 1024, DefaultTokens = 1024, Experts = 8, DefaultRounds = 5, Heads = 16;

    // A core's speed changes within seconds, and rates are chosen once.
    private const int LeastBaselineRounds = 9;

    // Fast enough to take a small part, slow enough for a switch in user space.
    private const int FirstMegabits = 400, MostMegabits = 1000;

    // The lowest rate whose run is done in minutes.
    private const int LeastMegabits = 5;

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    private static readonly Option<int?> s_hidden = NumberOption.Create<int>("--hidden", $"D: MLP, shared and routed experts have twice as many neurons. [default: {DefaultHidden}]");
    private static readonly Option<int?> s_tokens = NumberOption.Create<int>("--tokens", $"Rows of each rank. [default: {DefaultTokens}]");
    private static readonly Option<int?> s_rounds = NumberOption.Create<int>("--rounds", $"Rounds, of which medians are taken. [default: {DefaultRounds}]");
    private static readonly Option<string?> s_shares = new("--shares") { Description = $"Percent of top-2's MoE time that its rows travel: emulated links get rates that make it so. Without --ranks. [default: {DefaultShares}]", HelpName = "n,n" };
    private static readonly Option<bool> s_training = new("--training") { Description = "Time forward and backward passes in place of inference." };
    // What rates are chosen by.
    private static readonly Option<bool> s_baseline = new("--baseline") { Description = "Top-2 alone.", Hidden = true };
    private static readonly Option<bool> s_json = new("--json") { Description = "Write JSON." };
    private static readonly Option<string?> s_picture = new("--picture") { Description = "Draw what each operator does when, of the last link: a lane an operator.", HelpName = "file.svg" };

    public static Command Create()
    {
        var command = new Command(Word, "Times a pair of layers over ranks: top-2, a shared expert, and experts that read an earlier representation (ScMoE), in every order of their operators. Without --ranks, on two emulated hosts at several rates.");
        // With a faster kernel the shares would need links that can't be emulated.
        var engine = new EngineArguments(command, WeightFormat.F32);
        foreach (Option option in new Option[] { s_hidden, s_tokens, s_rounds, s_shares, s_training, s_baseline, s_json, s_picture })
            command.Options.Add(option);
        var ranks = new RankArguments(command, model: false);
        command.SetAction(parsed =>
        {
            OutputFile.Check(s_picture.Name, parsed.GetValue(s_picture));
            var options = engine.Engine(parsed);
            var setting = new ScMoeSetting(Positive(s_hidden, DefaultHidden), Positive(s_tokens, DefaultTokens), Experts, options.Weights, options.Threads ?? 1, Positive(s_rounds, DefaultRounds));
            if (setting.Hidden % (2 * Heads) != 0)
                throw new ArgumentException($"--hidden is {setting.Hidden}, expected a multiple of {2 * Heads}: there are {Heads} heads of an even width");
            int count = ranks.Count(parsed);
            if (count > 1 && parsed.GetValue(s_shares) is not null)
                throw new ArgumentException("--shares is of emulated links: leave --ranks out");
            if (count > Experts)
                throw new ArgumentException($"--ranks is {count}, but there are {Experts} experts");
            return ranks.Run(parsed, group => Measure(parsed, group, setting), () => Emulate(parsed, setting));

            int Positive(Option<int?> option, int usual) => (parsed.GetValue(option) ?? usual) is int value and > 0 ? value : throw new ArgumentException($"{option.Name} is {parsed.GetValue(option)}, expected at least 1");
        });
        return command;
    }

    // Of ranks that are there.
    private static int Measure(ParseResult parsed, RankGroup group, ScMoeSetting setting)
    {
        new Rendezvous(group).Agree($"{setting}");
        var results = ScMoeBenchmark.Run(group, setting, parsed.GetValue(s_baseline) || parsed.GetValue(s_training) ? [ScMoeVariant.Plain] : ScMoeVariant.All, group.Rank == 0 ? parsed.InvocationConfiguration.Error.WriteLine : null);
        // The overlapped top-2 is inference's; in training nothing of it may move.
        var trained = parsed.GetValue(s_training) ? ScMoeTraining.Run(group, setting, [.. ScMoeVariant.All.Where(variant => variant.Position > 0 || variant.Shared || !variant.Overlaps)], group.Rank == 0 ? parsed.InvocationConfiguration.Error.WriteLine : null) : null;
        if (results is null)
            return 0;
        var report = ScMoeReport.Of(null, results) with { Training = ScMoeReport.OfTraining(trained ?? []) };
        Tell(parsed, setting, BenchExchangeCommand.Library(group.Library), [report], []);
        return 0;
    }

    // On emulated hosts: a first run says what rates make the shares.
    private static int Emulate(ParseResult parsed, ScMoeSetting setting)
    {
        var errors = parsed.InvocationConfiguration.Error;
        double[] shares = [.. (parsed.GetValue(s_shares) ?? DefaultShares).Split(',').Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int percent) && percent is > 0 and < 100
            ? percent / 100.0
            : throw new ArgumentException($"'{text}' in {s_shares.Name}, expected whole percents from 1 to 99 with commas between them"))];
        errors.WriteLine($"what the layers take, at {FirstMegabits} Mbit/s");
        var (first, reason) = Run(FirstMegabits, s_baseline.Name);
        if (first is null)
        {
            Terminal.WriteLine(parsed.InvocationConfiguration.Output, $"skipped: {reason}");
            return 0;
        }

        List<ScMoeReport> reports = [];
        List<string> notes = [];
        double compute = first.MoeMilliseconds - first.TravelMilliseconds;
        foreach (double share in shares)
        {
            double travel = compute * share / (1 - share);
            int rate = (int)Math.Round(FirstMegabits * first.TravelMilliseconds / travel);
            if (rate is < LeastMegabits or > MostMegabits)
            {
                notes.Add($"{share:0 %} is left out: it needs links of {rate} Mbit/s, and those of {LeastMegabits} to {MostMegabits} can be emulated");
                continue;
            }

            errors.WriteLine($"rows under way for {share:0 %} of top-2's MoE time: {rate} Mbit/s");
            reports.Add((parsed.GetValue(s_training) ? Run(rate, s_training.Name) : Run(rate)).Report! with { Asked = share });
        }

        Tell(parsed, setting, first.Mpi, reports, notes);
        return 0;

        (ScMoeReport? Report, string? Reason) Run(int rate, params string[] more)
        {
            string[] arguments =
            [
                "bench", Word, "--json", "--hidden", $"{setting.Hidden}", "--tokens", $"{setting.Tokens}", "--rounds", $"{(more.Contains(s_baseline.Name) ? Math.Max(setting.Rounds, LeastBaselineRounds) : setting.Rounds)}", "--weights", WeightFormats.All.Single(f => f.Format == setting.Weights).Name, "--threads", $"{setting.Threads}", .. more,
            ];
            var (output, why) = EmulatedHosts.Run(rate, s_limit, arguments, errors);
            return output is null ? (null, why) : (JsonSerializer.Deserialize<Told>(output, Figures.Json)!.Links[0] with { Megabits = rate }, null);
        }
    }

    private static void Tell(ParseResult parsed, ScMoeSetting setting, string? mpi, IReadOnlyList<ScMoeReport> links, IReadOnlyList<string> notes)
    {
        var output = parsed.InvocationConfiguration.Output;
        links = [.. links.Select(link => link with { Mpi = mpi })];
        if (parsed.GetValue(s_picture) is { } path && links is [.., var last])
            File.WriteAllText(path, ScMoePicture.Draw(last));
        if (parsed.GetValue(s_json))
        {
            output.WriteLine(JsonSerializer.Serialize(new Told(MachineFacts.Current(), KernelSet.Best()[setting.Weights].Name, setting, links, notes), Figures.Json));
            return;
        }

        Terminal.WriteLine(output, $"{MachineFacts.Current()}; {mpi}; kernel {KernelSet.Best()[setting.Weights].Name}, {setting.Threads} {(setting.Threads == 1 ? "thread" : "threads")} a rank");
        Terminal.WriteLine(output, $"a pair of layers: D {setting.Hidden}, {Heads} heads, MLP, shared and {setting.Experts} routed experts of {2 * setting.Hidden} neurons, {setting.Tokens} rows a rank; medians of {setting.Rounds} {(setting.Rounds == 1 ? "round" : "rounds")} on the slowest rank; every order gave the same bits");
        foreach (var link in links)
        {
            Terminal.WriteLine(output, $"{(link.Megabits is { } rate ? $"links of {rate} Mbit/s" : "the ranks' own link")}: rows under way for {link.Share:0.0 %} of top-2's MoE time");
            foreach (var rows in new[] { link.Training.Count > 0 ? [] : link.Rows, link.Training }.Where(rows => rows.Count > 0))
                Table(output, rows, rows == link.Rows ? "layers" : "forward and backward");
        }

        foreach (string note in notes)
            Terminal.WriteLine(output, note);
    }

    private static void Table(TextWriter output, IReadOnlyList<ScMoeRow> rows, string what)
    {
        var table = new ResultTable(what, "ms", "over top-2", "computing", "under way", "hidden", "bound ms", "over bound", "experts", "best measured");
        foreach (var row in rows)
        {
            table.Add(row.Name, $"{row.Milliseconds:0.0}", $"{row.Speedup:0.00}", $"{row.ComputeMilliseconds:0.0}", $"{row.TravelMilliseconds:0.0}", $"{row.Hidden:0 %}", $"{row.BoundMilliseconds:0.0}", $"{row.OverBound:0.00}", row.Slot, $"{row.BestMilliseconds:0.0}, {row.BestSlot}");
        }

        table.Write(output);
    }

    /// <summary>What a run is told by, and what it found.</summary>
    private sealed record Told(MachineFacts Machine, string Kernel, ScMoeSetting Setting, IReadOnlyList<ScMoeReport> Links, IReadOnlyList<string> Notes);
}

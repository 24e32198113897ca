using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using DualSparse.Benchmarking;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Kernels.Threading;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench</c>: a model's tokens a second; <c>bench layer</c>: one layer's experts beside the machine's floor; <c>bench exchange</c>; <c>bench ep</c>; <c>bench scmoe</c>; <c>bench placements</c>; <c>bench serve</c>.</summary>
internal static class BenchCommand
{
    private const string LayerWord = "layer";
    private const int DefaultGenerate = 64, DefaultLayers = 4, DefaultRounds = 5;

    private static readonly Option<bool> AsJson = new("--json") { Description = "Write JSON." };

    private static readonly Option<string?> Save = new("--save") { Description = "Write a page of Markdown too, with machine, versions and ceilings.", HelpName = "file.md" };

    public static Command Create()
    {
        var command = new Command("bench", "Times a model's prompts and generation, as medians of rounds.") { Layer(), Exchange(), ExpertParallel(), BenchScMoeCommand.Create(), Placements(), Server() };
        var folder = new ModelArgument(command, positional: true);
        var prompts = new Option<string>("--prompt") { Description = "Lengths of prompts, in tokens.", HelpName = "n,n", DefaultValueFactory = _ => "128,512,2048" };
        var generate = NumberOption.Create<int>("--generate", $"Tokens to generate; 0: none. [default: {DefaultGenerate}]");
        var streams = new Option<string>("--streams") { Description = "Texts that are generated together, a token of each in a pass.", HelpName = "n,n", DefaultValueFactory = _ => "1" };
        var shape = new Option<string?>("--shape") { Description = $"Random weights instead, written to a temporary folder: one of {Shapes}.", HelpName = "name" };
        var layers = NumberOption.Create<int>("--layers", $"Layers of the shape. [default: {DefaultLayers}]");
        var rounds = Rounds();
        var engine = new EngineArguments(command);
        foreach (Option option in new Option[] { shape, layers, prompts, generate, streams, rounds, AsJson, Save })
            command.Options.Add(option);
        var drop = new DropArguments(command);
        var ranks = new RankArguments(command);
        command.Validators.Add(result =>
        {
            if (result.GetResult(layers) is { Implicit: false } && result.GetResult(shape) is null)
                result.AddError("--layers goes with --shape");
        });
        command.SetAction(parsed =>
        {
            // All that can be said of the options is said before a minute goes into weights.
            var (lengths, tokens, times, options) = (Whole(prompts.Name, parsed.GetValue(prompts)!), parsed.GetValue(generate) ?? DefaultGenerate, Positive(parsed.GetValue(rounds)), engine.Engine(parsed));
            if (tokens < 0)
                throw new ArgumentException($"--generate is {tokens}, expected at least 0");
            int[] together = Whole(streams.Name, parsed.GetValue(streams)!);
            OutputFile.Check(Save.Name, parsed.GetValue(Save));
            var rule = drop.Request(parsed);
            using var interrupt = new Interrupt();
            using var random = parsed.GetValue(shape)?.ToLowerInvariant() is { } name ? RandomCheckpoint.Write(name, parsed.GetValue(layers) ?? DefaultLayers, options.Weights, interrupt.Token) : null;
            string path = random?.Folder ?? folder.Folder(parsed);
            string what = random is null ? Path.GetFileName(Path.GetFullPath(path).TrimEnd(Path.DirectorySeparatorChar)) : $"{parsed.GetValue(shape)}, {parsed.GetValue(layers) ?? DefaultLayers} layers, random weights";
            if (random is not null && ranks.Starts(parsed))
            {
                // Made once, here; the ranks are given the folder.
                ranks.Check(parsed, path);
                return ranks.Start(parsed, ["bench", path, .. Without(parsed, "bench", shape, layers)]);
            }

            return ranks.Run(parsed, () => path, options, chosen =>
            {
                using var model = Transformer.Load(path, chosen, cancel: interrupt.Token);
                using var alone = chosen.Ranks > 1 ? Transformer.Load(path, options, cancel: interrupt.Token) : null;
                var report = ModelBenchmark.Run(model, lengths, tokens, times, together, rule, alone, interrupt.Token);
                TellOfContext(parsed.InvocationConfiguration.Error, lengths, tokens, model.Config.MaxPositions);
                Tell(parsed, model.Report, report, chosen.Ranks == 1 ? what : $"{what}, {chosen.Ranks} ranks");
                return 0;
            }, _ => RankWork.Texts(lengths, tokens));
        });
        return command;
    }

    private static void TellOfContext(TextWriter errors, int[] prompts, int generate, int context)
    {
        if (prompts.Where(p => p > context).ToArray() is [_, ..] longer)
            errors.WriteLine($"not timed, as the model's context is {context} tokens: prompt {string.Join(", ", longer)}");
        if (generate > context)
            errors.WriteLine($"generates {context} tokens for {generate}: the model's context");
    }

    private static void Tell(ParseResult parsed, LoadReport load, ModelReport report, string what)
    {
        var machine = MachineFacts.Current();
        var run = new RunFacts(load.Threads, load.Kernel, Figures.Name(load.Weights), report.ReadGigabytesPerSecond, report.RateGflops);
        string loaded = $"loaded {load.CheckpointBytes / 1e9:0.00} GB in {load.Seconds:0.00} s";
        string title = $"Tokens a second: {what}";
        if (report.Results.Any(r => r.OneProcess is not null))
        {
            string[] both = ["test", "tokens", "drop", "ranks, tokens/s", "one process, tokens/s", "ranks / one process"];
            Show(parsed, title, machine, run, [loaded, "one process: all cores of the first rank's machine, in turn with the ranks"], both, report.Results, r =>
            [
                r.Test, $"{r.Tokens}", $"{r.DropRate:0.0%}", $"{r.TokensPerSecond:0.0}", $"{r.OneProcess!.TokensPerSecond:0.0}", $"{r.OneProcess.Ratio:0.000} ({r.OneProcess.RatioLow:0.000}–{r.OneProcess.RatioHigh:0.000})",
            ]);
            return;
        }

        string[] columns = ["test", "tokens", "drop", "tokens/s", "floor allows", "× floor", "time(r)/time(0)", "floor(r)/floor(0)"];
        Show(parsed, title, machine, run, [loaded], columns, report.Results, r =>
        [
            r.Test, $"{r.Tokens}", $"{r.DropRate:0.0%}", $"{r.TokensPerSecond:0.0}", $"{r.FloorTokensPerSecond:0.0}",
            $"{r.FloorTokensPerSecond / r.TokensPerSecond:0.00}", $"{r.TimeRatio:0.000} ({r.TimeRatioLow:0.000}–{r.TimeRatioHigh:0.000})", $"{r.FloorRatio:0.000}",
        ]);
    }

    // A page if one is wanted; then JSON or a table.
    private static void Show<T>(
        ParseResult parsed, string title, MachineFacts machine, RunFacts run, string[] notes, string[] columns, IReadOnlyList<T> results, Func<T, string[]> cells)
    {
        var output = parsed.InvocationConfiguration.Output;
        string[][] rows = [.. results.Select(cells)];
        if (parsed.GetValue(Save) is { } path)
        {
            var page = new ResultPage(title, $"dualsparse {string.Join(' ', parsed.Tokens.Select(t => t.Value))}", machine);
            page.Add(run, notes, columns, rows);
            page.Save(path);
        }

        if (parsed.GetValue(AsJson))
        {
            output.WriteLine(ResultPage.ToJson(machine, run, results));
            return;
        }

        foreach (string line in (string[])[$"{machine.Cpu}, {run.Heading}", .. notes, run.Ceilings])
            Terminal.WriteLine(output, line);
        var table = new ResultTable(columns);
        foreach (string[] row in rows)
            table.Add(row);
        table.Write(output);
    }

    // The command line without a word and some options with their values.
    private static string[] Without(ParseResult parsed, string word, params Option[] options)
    {
        List<string> kept = [];
        for (int i = 0; i < parsed.Tokens.Count; i++)
        {
            string token = parsed.Tokens[i].Value;
            if (options.Any(option => option.Name == token))
                i++;
            else if (token != word)
                kept.Add(token);
        }

        return [.. kept];
    }

    private static string Shapes => string.Join(", ", LayerShape.All.Select(s => s.Name));

    private static Command Layer()
    {
        var command = new Command(LayerWord, "Times one layer after its router's matrix product (drop decisions, row lists, experts) beside the roofline of the same run: max(bytes / bandwidth, operations / rate).");
        var shape = new Option<string>("--shape") { Description = $"One of {Shapes}.", HelpName = "name", DefaultValueFactory = _ => "olmoe" };
        var tokens = new Option<string>("--tokens") { Description = "Batch sizes, in tokens.", HelpName = "n,n", DefaultValueFactory = _ => "1,32,128,512,1024" };
        var drops = new Option<string>("--drop") { Description = "Drop rates: shares of the experts' work to skip.", HelpName = "r,r", DefaultValueFactory = _ => "0" };
        var rounds = Rounds();
        var engine = new EngineArguments(command);
        foreach (Option option in new Option[] { shape, tokens, drops, rounds, AsJson, Save })
            command.Options.Add(option);
        RefuseBefore(command, "a --shape with random weights");
        command.SetAction(parsed =>
        {
            OutputFile.Check(Save.Name, parsed.GetValue(Save));
            var options = engine.Engine(parsed);
            int threads = options.Threads ?? ThreadTeam.Available;
            var report = LayerBenchmark.Run(
                LayerShape.Named(parsed.GetValue(shape)!.ToLowerInvariant()), options.Weights, Whole(tokens.Name, parsed.GetValue(tokens)!), Shares(parsed.GetValue(drops)!),
                threads, Positive(parsed.GetValue(rounds)), parsed.InvocationConfiguration.Error.WriteLine);
            var run = new RunFacts(threads, report.Kernel, Figures.Name(options.Weights), report.ReadGigabytesPerSecond, report.RateGflops);
            string[] columns = ["tokens", "drop", "ms", "GFLOP/s", "GB/s", "floor ms", "× floor", "× floor, paired", "time(r)/time(0)", "floor(r)/floor(0)", "routing ms"];
            Show(parsed, $"One layer's experts: {parsed.GetValue(shape)}", MachineFacts.Current(), run, [], columns, report.Results, r =>
            [
                $"{r.Tokens}", $"{r.DropRate:0.0%}", $"{r.Milliseconds:0.00}", $"{r.Gflops:0}", $"{r.GigabytesPerSecond:0.0}", $"{r.FloorMilliseconds:0.00}",
                $"{r.TimesFloor:0.00}", $"{r.PairedTimesFloor:0.00}", $"{r.TimeRatio:0.000} ({r.TimeRatioLow:0.000}–{r.TimeRatioHigh:0.000})", $"{r.FloorRatio:0.000}", $"{r.RoutingMilliseconds:0.00}",
            ]);
            return 0;
        });
        return command;
    }

    private static Command Exchange()
    {
        var command = BenchExchangeCommand.Create();
        RefuseBefore(command, "messages alone");
        return command;
    }

    private static Command ExpertParallel()
    {
        var command = BenchEpCommand.Create();
        RefuseBefore(command, "a layer of it by --model");
        return command;
    }

    private static Command Server()
    {
        var command = BenchServeCommand.Create();
        RefuseBefore(command, "a server, whose model stands after it");
        return command;
    }

    private static Command Placements()
    {
        var command = BenchPlacementsCommand.Create();
        RefuseBefore(command, "a model of its own");
        return command;
    }

    // What stands before the word is the other command's.
    private static void RefuseBefore(Command command, string times) => command.Validators.Add(result =>
    {
        foreach (var before in (result.Parent as CommandResult)?.Children ?? [])
        {
            if (before is OptionResult { Implicit: false } option)
                result.AddError($"{option.Option.Name} stands before '{command.Name}': put it after");
            else if (before is ArgumentResult { Tokens: [var model, ..] })
                result.AddError($"'{command.Name}' times {times}: leave {model.Value} out");
        }
    });

    private static Option<int?> Rounds() => NumberOption.Create<int>("--rounds", $"Rounds, of which medians are taken. [default: {DefaultRounds}]");

    private static int Positive(int? given) => (given ?? DefaultRounds) is int rounds and > 0 ? rounds : throw new ArgumentException($"--rounds is {given}, expected at least 1");

    private static int[] Whole(string option, string list) => [.. list.Split(',').Select(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
        ? value
        : throw new ArgumentException($"'{n}' in {option}, expected positive whole numbers with commas between them"))];

    private static double[] Shares(string list) => [.. list.Split(',').Select(n => double.TryParse(n, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value is >= 0 and < 1
        ? value
        : throw new ArgumentException($"'{n}' in --drop, expected numbers from 0 to below 1 with commas between them"))];
}

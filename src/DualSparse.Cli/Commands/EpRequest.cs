using System.CommandLine;
using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Cli.Commands;

/// <summary>The options that say which layers <c>bench ep</c> runs, and where rows go.</summary>
internal sealed class EpRequest
{
    private const string DefaultShape = "olmoe";

    // Two layers: each finds the other's weights in the cache, not its own.
    private const int DefaultTokens = 256, DefaultLayers = 2, DefaultRounds = 5, MostLayers = 256;

    // As for bench exchange: beyond it nearly every row takes the same experts.
    private const double MostSkewed = 4;

    private readonly Option<string?> shape = new("--shape") { Description = $"A layer's shape, its weights random: one of {string.Join(", ", LayerShape.All.Select(s => s.Name))}. [default: {DefaultShape}]", HelpName = "name" };
    private readonly ModelArgument model;
    private readonly TextFilesOption texts = new("--text", "Texts whose routing by the model is taken: each rank's rows are a piece of them.");
    private readonly Option<string?> requests = new("--requests") { Description = "A task's file whose rows have pictures: routing is the model's, of requests made of them; for the layer of --shape, where one is given.", HelpName = "file" };
    private readonly Option<int?> each = NumberOption.Create<int>("--each", "With --requests: requests of each rank. [default: 1]");
    private readonly Option<int?> tokens = NumberOption.Create<int>("--tokens", $"Rows of each rank. [default: {DefaultTokens}]");
    private readonly Option<int?> layers = NumberOption.Create<int>("--layers", $"Layers, each with weights and routing of its own. [default: {DefaultLayers}]");
    private readonly Option<double?> zipf = NumberOption.Create<double>("--zipf", "Exponent of the experts' popularity, by Zipf's law. [default: 0, all alike]");
    private readonly Option<double?> hot = NumberOption.Create<double>("--hot", "The first rank's load over the mean of ranks. [default: as it comes]");
    private readonly Option<string> placement = new("--placement")
    {
        Description = "own (whole experts, each on one rank), slice (a part of every expert on every rank) or hybrid:P (parts shared out).",
        HelpName = "name",
        DefaultValueFactory = _ => "own",
    };

    private readonly Option<int?> rounds = NumberOption.Create<int>("--rounds", $"Rounds, of which medians are taken. [default: {DefaultRounds}]");
    private readonly EngineArguments engine;

    /// <summary>Adds the options to a command.</summary>
    public EpRequest(Command command)
    {
        model = new ModelArgument(command, positional: false);
        texts.AddTo(command);
        foreach (Option option in new Option[] { shape, requests, each, tokens, layers, zipf, hot, placement, rounds })
            command.Options.Add(option);
        engine = new EngineArguments(command);
    }

    /// <summary>The placement's name.</summary>
    public string Placement(ParseResult parsed) => parsed.GetValue(placement)!.ToLowerInvariant();

    /// <summary>What is to be measured, without its routing.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="ranksHere">Ranks that share this machine's cores.</param>
    /// <param name="mostRanks">The most ranks, real or virtual.</param>
    /// <exception cref="ArgumentException">It can't be.</exception>
    public (EpSetting Setting, EpSource Source) Read(ParseResult parsed, int ranksHere, int mostRanks)
    {
        var options = engine.Engine(parsed);
        var (files, given) = texts.FilesAndModel(parsed, model);
        int rows = AtLeastOne(tokens, parsed, DefaultTokens), depth = AtLeastOne(layers, parsed, DefaultLayers);
        if (depth > MostLayers)
            throw new ArgumentException($"--layers is {depth}, expected at most {MostLayers}");
        if (parsed.GetValue(zipf) is { } x && !(x is >= 0 and <= MostSkewed))
            throw new ArgumentException($"--zipf is {x}, expected 0 (all experts alike) to {MostSkewed}");
        if (parsed.GetValue(each) is not null && parsed.GetValue(requests) is null)
            throw new ArgumentException("--each goes with --requests");
        if (parsed.GetValue(requests) is not null && files.Length > 0)
            throw new ArgumentException("--text and --requests each say where rows go: leave one of them out");
        if (files.Length > 0 && (parsed.GetValue(zipf) ?? parsed.GetValue(hot)) is not null)
            throw new ArgumentException("--text takes the model's routing: leave --zipf and --hot out");
        var kind = PlacementKind.Parse(Placement(parsed));
        var setting = new EpSetting(
            LayerShape.All[0], options.Weights, options.Threads ?? Math.Max(1, ThreadTeam.Available / ranksHere), rows, depth, kind.Parts, AtLeastOne(rounds, parsed, DefaultRounds));
        if (given is null && files.Length == 0 && parsed.GetValue(requests) is null)
            return (setting with { Shape = LayerShape.Named((parsed.GetValue(shape) ?? DefaultShape).ToLowerInvariant()) }, new EpSource(null, options, kind, [], [], parsed.GetValue(zipf) ?? 0, parsed.GetValue(hot)));
        if (parsed.GetValue(requests) is { } file)
            return Requests(parsed, setting, file, ModelFolder.Find(given), kind, options, mostRanks);
        if (parsed.GetValue(shape) is not null)
            throw new ArgumentException("--shape has random weights, and a model was given: leave one of them out");
        string folder = ModelFolder.Find(given);
        var config = ModelConfig.Load(folder);
        var own = Own(folder, config);
        int[] chosen = Chosen(config, depth);
        if (files.Length > 0 && rows > config.MaxPositions)
            throw new ArgumentException($"--tokens is {rows}, but the model's context is {config.MaxPositions} tokens");
        var counts = ExpertCounts.Find(folder, config);
        return (setting with
        {
            Shape = own,
            Layers = chosen.Length,
            Counts = counts is null ? null : [.. chosen.Select(layer => counts[layer])],
        }, new EpSource(folder, options with { Threads = setting.Threads }, kind, files, chosen, parsed.GetValue(zipf) ?? 0, parsed.GetValue(hot)));
    }

    private (EpSetting, EpSource) Requests(ParseResult parsed, EpSetting setting, string file, string folder, PlacementKind kind, EngineOptions options, int mostRanks)
    {
        Option[] other = [tokens, zipf, hot];
        if (other.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } alone)
            throw new ArgumentException($"--requests say how many rows there are and where they go: leave {alone.Name} out");
        var config = ModelConfig.Load(folder);
        var layer = parsed.GetValue(shape) is { } named ? LayerShape.Named(named.ToLowerInvariant()) : Own(folder, config);
        int[] chosen = Chosen(config, setting.Layers);
        var read = EpRequests.Read(file, folder, config, layer, chosen, AtLeastOne(each, parsed, 1), mostRanks);
        return (setting with { Shape = layer, Layers = chosen.Length, Tokens = read.Each * read.Rows }, new EpSource(folder, options with { Threads = setting.Threads }, kind, [], chosen, 0, null) { Requests = read });
    }

    private static LayerShape Own(string folder, ModelConfig config) => config.Moe is { } moe
        ? new LayerShape(Path.GetFileName(Path.GetFullPath(folder).TrimEnd(Path.DirectorySeparatorChar)), moe.Experts, moe.TopK, config.HiddenSize, moe.Intermediate, moe.SharedIntermediate)
        : throw new ArgumentException($"{folder} has no experts: this times them");

    // Spread over the depth: routing changes with it.
    private static int[] Chosen(ModelConfig config, int depth)
    {
        int[] all = [.. Enumerable.Range(0, config.Layers).Where(layer => config.LayerPlan[layer].IsMoe)];
        return [.. Enumerable.Range(0, Math.Min(depth, all.Length)).Select(i => all[i * all.Length / Math.Min(depth, all.Length)])];
    }

    private static int AtLeastOne(Option<int?> option, ParseResult parsed, int usual) =>
        (parsed.GetValue(option) ?? usual) is int value and > 0 ? value : throw new ArgumentException($"{option.Name} is {parsed.GetValue(option)}, expected at least 1");
}

/// <summary>Where routing comes from.</summary>
/// <param name="Folder">The model's; null: there is none.</param>
/// <param name="Options">How it is loaded.</param>
/// <param name="Kind">How its experts are placed.</param>
/// <param name="Texts">The texts; empty: routing is drawn.</param>
/// <param name="Layers">The layers whose routing is taken.</param>
/// <param name="Zipf">Of drawn routing, the exponent …</param>
/// <param name="Hot">… and the first rank's load over the mean.</param>
internal sealed record EpSource(string? Folder, EngineOptions Options, PlacementKind Kind, string[] Texts, int[] Layers, double Zipf, double? Hot)
{
    /// <summary>Requests with pictures; null: there are none.</summary>
    public EpRequests? Requests { get; init; }

    /// <summary>The pieces of the texts, as many as there are ranks for, each of as many tokens.</summary>
    /// <param name="rows">Tokens of a piece.</param>
    /// <param name="least">Pieces at least.</param>
    /// <param name="most">Pieces at most.</param>
    /// <exception cref="ArgumentException">The texts are too short.</exception>
    public int[][] Pieces(int rows, int least, int most)
    {
        if (Texts.Length == 0)
            return [];
        var tokenizer = Tokenizer.Load(Folder!);
        int[] ids = [.. Texts.SelectMany(text => tokenizer.Encode(InputText.Read(text), addSpecial: false, allowSpecial: false))];
        int pieces = Math.Min(most, ids.Length / rows);
        return pieces >= least
            ? [.. Enumerable.Range(0, pieces).Select(piece => ids[(piece * rows)..((piece + 1) * rows)])]
            : throw new ArgumentException($"the text has {ids.Length} tokens, expected at least {least} ranks' {rows}: take a longer one, or fewer --tokens");
    }

    /// <summary>Drawn routing; null: it is the model's.</summary>
    public EpRouting? Drawn(EpSetting setting)
    {
        string shape = (Zipf > 0 ? $"Zipf {Zipf}" : "uniform") + (Hot is { } load ? $", first rank {load} × the mean load" : "");
        return Texts.Length > 0 || Requests is not null ? null : new EpRouting(shape, ranks => ShapedPlans.Draw(setting, ranks, Zipf, Hot));
    }

    /// <summary>The model's routing, and where earlier rows went, if that is known.</summary>
    /// <param name="group">The real ranks; null: none.</param>
    /// <param name="pieces">See <see cref="Pieces"/>.</param>
    public (EpRouting Routing, IReadOnlyList<long[]>? History) Captured(RankGroup? group, int[][] pieces)
    {
        // Small models, which each rank runs by itself: all get the same.
        if (Requests is not null)
            return Requests.Capture(Options);
        var plans = TextPlans.Capture(group, Folder!, Options, Kind, pieces, Layers);
        return (new EpRouting($"the model's of {string.Join(", ", Texts.Select(InputText.Name))}, layers {string.Join(", ", Layers)}", ranks => plans[..ranks]), null);
    }
}

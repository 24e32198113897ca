using System.CommandLine;
using System.Globalization;
using DualSparse.Benchmarking;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;
using DualSparse.Engine;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench placements</c>: each placement's time beside what was predicted of it, and the chosen one's beside the best.</summary>
internal static class BenchPlacementsCommand
{
    private const int DefaultPrompt = 256, DefaultGenerate = 16, DefaultRounds = 5;

    public static Command Create()
    {
        var command = new Command("placements", "Times a prompt and generated tokens under every placement that the ranks can have, beside the times by which one is chosen.");
        var folder = new ModelArgument(command, positional: true);
        var prompt = NumberOption.Create<int>("--prompt", $"Tokens of the prompt. [default: {DefaultPrompt}]");
        var generate = NumberOption.Create<int>("--generate", $"Tokens to generate, one by one. [default: {DefaultGenerate}]");
        var rounds = NumberOption.Create<int>("--rounds", $"Rounds, of which medians are taken. [default: {DefaultRounds}]");
        var shape = new Option<string?>("--shape") { Description = "Four layers of a shape with random weights instead, written to a temporary folder: olmoe, …", HelpName = "name" };
        foreach (Option option in new Option[] { prompt, generate, rounds, shape })
            command.Options.Add(option);
        var engine = new EngineArguments(command);
        var ranks = new RankArguments(command, model: false);
        command.SetAction(parsed =>
        {
            var options = engine.Engine(parsed);
            (int Prompt, int Generate, int Rounds) sizes = (Positive(prompt, DefaultPrompt), Positive(generate, DefaultGenerate), Positive(rounds, DefaultRounds));
            if (parsed.GetValue(shape) is { } name && MpiLaunch.Current is null && ranks.Starts(parsed))
            {
                // Made once, here; the ranks are given the folder.
                using var interrupt = new Interrupt();
                using var random = RandomCheckpoint.Write(name.ToLowerInvariant(), 4, options.Weights, interrupt.Token);
                string[] rest = [.. parsed.Tokens.Select(t => t.Value).Where((t, i) => t != shape.Name && (i == 0 || parsed.Tokens[i - 1].Value != shape.Name))];
                return ranks.Start(parsed, [.. rest, random.Folder]);
            }

            string path = folder.Folder(parsed);
            return ranks.Run(parsed, group => Run(parsed, group, path, options, sizes));

            int Positive(Option<int?> option, int usual) =>
                (parsed.GetValue(option) ?? usual) is int value and > 0 ? value : throw new ArgumentException($"{option.Name} is {parsed.GetValue(option)}, expected at least 1");
        });
        return command;
    }

    private static int Run(ParseResult parsed, RankGroup group, string folder, EngineOptions options, (int Prompt, int Generate, int Rounds) sizes)
    {
        options = options with { Threads = options.Threads ?? Math.Max(1, ThreadTeam.Available / MpiLaunch.Current!.LocalSize) };
        var config = ModelConfig.Load(folder);
        RankWork[] works = [RankWork.Texts([sizes.Prompt], 0), RankWork.Texts([], 1)];
        PlacementSetting? measured = null;
        if (group.Rank == 0)
            measured = Ranks.Measure(group, options, works[0]);
        else
            RankProbe.Answer(group, options.Weights, options.Threads.Value);
        var nominal = RankPlacement.Predict(folder, config, group.Size, measured ?? PlacementSetting.Nominal(works[0], options.Weights));
        var seconds = new Dictionary<string, double[]>();
        // In one order on every rank.
        foreach (var placement in nominal.Select(p => p.Placement).OrderBy(p => p.Parts))
        {
            int code = RankedModel.Run(group, () => folder, options, PlacementKind.Parse(placement.Name), (chosen, _) =>
            {
                using var model = Transformer.Load(folder, chosen);
                var report = ModelBenchmark.Run(model, [sizes.Prompt], sizes.Generate, sizes.Rounds, [1]);
                seconds.Add(placement.Name, [.. report.Results.Select(r => (r.Test == "prompt" ? r.Tokens : 1) / r.TokensPerSecond)]);
                return 0;
            });
            if (code != 0)
                return code;
        }

        if (measured is null)
            return 0;
        var output = parsed.InvocationConfiguration.Output;
        var table = new ResultTable(["work", "placement", "predicted, ms", "measured, ms", "of the best"]);
        for (int i = 0; i < works.Length; i++)
        {
            var predicted = RankPlacement.Predict(folder, config, group.Size, measured with { Work = works[i] });
            double best = seconds.Values.Min(s => s[i]);
            foreach (var (placement, expected) in predicted)
            {
                double taken = seconds[placement.Name][i];
                string chosen = placement == predicted[0].Placement ? " (chosen)" : "";
                table.Add([works[i].Name, placement.Name + chosen, Number(expected * 1e3), Number(taken * 1e3), Number(taken / best)]);
            }
        }

        Terminal.WriteLine(output, $"{MachineFacts.Current().Cpu}, {group.Size} ranks; {measured.Rates}");
        table.Write(output);
        return 0;
    }

    private static string Number(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}

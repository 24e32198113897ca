using System.CommandLine;
using System.Globalization;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;

namespace DualSparse.LlamaCpp;

/// <summary>The command line.</summary>
internal static class Arguments
{
    /// <summary>The command; its exit code is that of <paramref name="run"/>.</summary>
    public static RootCommand Command(Func<Settings, int> run)
    {
        var model = new Argument<string?>("model") { Description = "A folder of OLMoE's family; without it, random weights of OLMoE's shape.", Arity = ArgumentArity.ZeroOrOne };
        model.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && token.Value.StartsWith('-'))
                result.AddError($"there is no option {token.Value}");
        });
        var layers = Number("--layers", "Layers of the random weights.", 4);
        var weights = new Option<string>("--weights") { Description = "Formats: f32, bf16, int8 (in llama.cpp Q8_0).", HelpName = "name,name", DefaultValueFactory = _ => "bf16,int8" };
        var streams = List("--streams", "Texts that are generated together, a token of each in a pass; 0: none.", "1,4,16");
        var prompts = List("--prompt", "Lengths of prompts that are timed, in tokens; 0: none.", "512");
        var before = Number("--before", "Tokens of each text before the generated ones.", 32);
        var generate = Number("--generate", "Generated tokens of each text.", 64);
        var rounds = Number("--rounds", "Rounds, of which medians are taken; 0: only the logits are compared.", 5, least: 0);
        var threads = Number("--threads", "Threads of each engine.", ThreadTeam.Available);
        var library = new Option<string?>("--llama") { Description = "Another build of llama.cpp's library than the package's; its interface must be the same.", HelpName = "libllama.so" };
        var save = new Option<string?>("--save") { Description = "Write the page of Markdown here too.", HelpName = "file.md" };
        var command = new RootCommand("Times llama.cpp and this engine in turn on one model, after comparing their logits.")
        {
            model, layers, weights, streams, prompts, before, generate, rounds, threads, library, save,
        };
        command.SetAction(parsed => run(new Settings
        {
            Model = parsed.GetValue(model),
            Layers = parsed.GetValue(layers),
            Weights = [.. parsed.GetValue(weights)!.Split(',').Select(Format)],
            Streams = Whole(streams.Name, parsed.GetValue(streams)!),
            Prompts = Whole(prompts.Name, parsed.GetValue(prompts)!),
            Before = parsed.GetValue(before),
            Generate = parsed.GetValue(generate),
            Rounds = parsed.GetValue(rounds),
            Threads = parsed.GetValue(threads),
            Library = parsed.GetValue(library),
            Save = parsed.GetValue(save),
        }));
        return command;
    }

    private static Option<int> Number(string name, string description, int standard, int least = 1)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "n", DefaultValueFactory = _ => standard };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !(int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least))
                result.AddError($"{name} is '{token.Value}', expected a whole number from {least}");
        });
        return option;
    }

    private static Option<string> List(string name, string description, string standard) =>
        new(name) { Description = description, HelpName = "n,n", DefaultValueFactory = _ => standard };

    private static int[] Whole(string name, string list) => list == "0" ? [] : [.. list.Split(',').Select(n =>
        int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
            ? value
            : throw new ArgumentException($"'{n}' in {name}, expected positive whole numbers with commas between them, or 0"))];

    private static WeightFormat Format(string name) => name switch
    {
        "f32" => WeightFormat.F32,
        "bf16" => WeightFormat.Bf16,
        "int8" => WeightFormat.Int8,
        _ => throw new ArgumentException($"'{name}' in --weights, expected f32, bf16 or int8"),
    };
}

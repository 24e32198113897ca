using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Kernels;
using DualSparse.Training;
using DualSparse.Training.Optimisation;

namespace DualSparse.Cli.Commands;

/// <summary>How a run trains, as options: all but what it trains, and on which text.</summary>
internal sealed class TrainArguments
{
    private static readonly TrainingOptions s_defaults = new();

    private readonly List<Option> all = [];
    private readonly Option<int?> context, batch, accumulate, parts, steps, warmUp, validationTokens, validateEvery, checkpointEvery;
    private readonly Option<long?> tokens;
    private readonly Option<ulong?> seed;
    private readonly Option<double?> epochs, rate, finalRate, beta1, beta2, epsilon, weightDecay, clip, balance, routerZ, validationShare, checkpointSeconds;
    private readonly Option<string?> decay, products, weights;

    /// <summary>Adds the options to a command.</summary>
    public TrainArguments(Command command)
    {
        context = Number<int>("--context", "Tokens of a window. [default: 512, or the model's context where that is less]");
        batch = Number<int>("--batch-tokens", "Tokens of a step, a multiple of the context. [default: 4096, or about that]");
        accumulate = Number<int>("--accumulate", $"Compute a step's windows in so many passes, which takes less memory. [default: {s_defaults.Accumulation}]");
        parts = Number<int>("--parts", "Cut a step into so many parts, whose gradients are added up one by one: what as many ranks compute, to the bit. [default: as many as there are ranks]");
        steps = Number<int>("--steps", "Steps of the run. [default: one epoch]");
        tokens = Number<long>("--tokens", "Tokens of the run, instead of steps.");
        epochs = Number<double>("--epochs", "How often the run reads the text, instead of steps.");
        rate = Number<double>("--learning-rate", "The highest learning rate. [default: 0.001; with --init 0.0001]");
        warmUp = Number<int>("--warm-up", "Steps in which the learning rate rises. [default: 100, or a tenth of the run where that is less]");
        decay = Choice("--decay", "How the learning rate falls after that.", s_decays, s_defaults.Decay);
        finalRate = Number<double>("--final-rate", $"The learning rate at the end as a share of the highest. [default: {s_defaults.FinalRate}]");
        beta1 = Number<double>("--beta1", $"AdamW's β₁. [default: {s_defaults.Beta1}]");
        beta2 = Number<double>("--beta2", $"AdamW's β₂. [default: {s_defaults.Beta2}]");
        epsilon = Number<double>("--epsilon", "AdamW's ε. [default: 1e-8]");
        weightDecay = Number<double>("--weight-decay", $"Weight decay, on matrices. [default: {s_defaults.WeightDecay}]");
        clip = Number<double>("--clip", $"The largest norm of the gradient as a whole. [default: {s_defaults.Clip}]");
        balance = Number<double>("--balance", "The factor of the balance loss. [default: the configuration's router_aux_loss_coef, or the family's]");
        routerZ = Number<double>("--router-z", $"The factor of the routers' z-loss. [default: {s_defaults.RouterZ}]");
        seed = Number<ulong>("--seed", "The seed of first values and of the order of windows. [default: 0]");
        products = Choice("--products", "In what products are computed; bf16 has sums in f32.", s_products, s_defaults.Products);
        weights = Choice("--weights", "The type of the weights that are written.", s_weights, s_defaults.Weights);
        validationShare = Number<double>("--validation-share", $"Without --validation, the share of the text that is held out. [default: {s_defaults.ValidationShare}]");
        validationTokens = Number<int>("--validation-tokens", $"Measure the held-out loss on at most so many tokens. [default: {s_defaults.ValidationTokens}]");
        validateEvery = Number<int>("--validate-every", $"Measure it each time after so many steps; 0: never. [default: {s_defaults.ValidationSteps}]");
        checkpointEvery = Number<int>("--checkpoint-every", "Write a checkpoint each time after so many steps, too.");
        checkpointSeconds = Number<double>("--checkpoint-seconds", $"Write a checkpoint after so many seconds. [default: {s_defaults.CheckpointSeconds}]");
        foreach (var option in all)
            command.Options.Add(option);
    }

    private static readonly (string Name, RateDecay Value)[] s_decays = [("cosine", RateDecay.Cosine), ("linear", RateDecay.Linear), ("constant", RateDecay.Constant)];

    private static readonly (string Name, WeightFormat? Value)[] s_products = [("fastest", null), ("f32", WeightFormat.F32), ("bf16", WeightFormat.Bf16)];

    private static readonly (string Name, WeightFormat Value)[] s_weights = [("bf16", WeightFormat.Bf16), ("f32", WeightFormat.F32)];

    /// <summary>The name of the first option that was given; null: none was.</summary>
    public string? Given(ParseResult parsed) => all.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false })?.Name;

    /// <summary>The options' values.</summary>
    public TrainingOptions Options(ParseResult parsed) => new()
    {
        Context = parsed.GetValue(context),
        BatchTokens = parsed.GetValue(batch),
        Accumulation = parsed.GetValue(accumulate) ?? s_defaults.Accumulation,
        Parts = parsed.GetValue(parts) ?? s_defaults.Parts,
        Steps = parsed.GetValue(steps),
        Tokens = parsed.GetValue(tokens),
        Epochs = parsed.GetValue(epochs),
        LearningRate = parsed.GetValue(rate),
        WarmUpSteps = parsed.GetValue(warmUp),
        Decay = Chosen(parsed, decay, s_decays, s_defaults.Decay),
        FinalRate = parsed.GetValue(finalRate) ?? s_defaults.FinalRate,
        Beta1 = parsed.GetValue(beta1) ?? s_defaults.Beta1,
        Beta2 = parsed.GetValue(beta2) ?? s_defaults.Beta2,
        Epsilon = parsed.GetValue(epsilon) ?? s_defaults.Epsilon,
        WeightDecay = parsed.GetValue(weightDecay) ?? s_defaults.WeightDecay,
        Clip = parsed.GetValue(clip) ?? s_defaults.Clip,
        Balance = parsed.GetValue(balance),
        RouterZ = parsed.GetValue(routerZ) ?? s_defaults.RouterZ,
        Seed = parsed.GetValue(seed) ?? s_defaults.Seed,
        Products = Chosen(parsed, products, s_products, s_defaults.Products),
        Weights = Chosen(parsed, weights, s_weights, s_defaults.Weights),
        ValidationShare = parsed.GetValue(validationShare) ?? s_defaults.ValidationShare,
        ValidationTokens = parsed.GetValue(validationTokens) ?? s_defaults.ValidationTokens,
        ValidationSteps = parsed.GetValue(validateEvery) ?? s_defaults.ValidationSteps,
        CheckpointSteps = parsed.GetValue(checkpointEvery) ?? s_defaults.CheckpointSteps,
        CheckpointSeconds = parsed.GetValue(checkpointSeconds) ?? s_defaults.CheckpointSeconds,
    };

    private static T Chosen<T>(ParseResult parsed, Option<string?> option, (string Name, T Value)[] choices, T otherwise) =>
        parsed.GetValue(option) is { } name ? choices.First(c => c.Name == name.ToLowerInvariant()).Value : otherwise;

    private Option<T?> Number<T>(string name, string description)
        where T : struct, System.Numerics.INumber<T>, System.Numerics.IMinMaxValue<T>
    {
        var option = NumberOption.Create<T>(name, description);
        all.Add(option);
        return option;
    }

    private Option<string?> Choice<T>(string name, string description, (string Name, T Value)[] choices, T otherwise)
    {
        string[] names = [.. choices.Select(c => c.Name)];
        string expected = $"{string.Join(", ", names[..^1])} or {names[^1]}";
        var option = new Option<string?>(name) { Description = $"{description} {char.ToUpperInvariant(expected[0])}{expected[1..]}. [default: {choices.First(c => Equals(c.Value, otherwise)).Name}]", HelpName = "name" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } value && !names.Contains(value.ToLowerInvariant()))
                result.AddError($"{name} is '{value}', expected {expected}");
        });
        all.Add(option);
        return option;
    }
}

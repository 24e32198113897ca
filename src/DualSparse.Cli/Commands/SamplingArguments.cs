using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Engine.Serving;
using DualSparse.Models;

namespace DualSparse.Cli.Commands;

/// <summary>The options that say how text is generated; what isn't given stays as the checkpoint wants it.</summary>
internal sealed class SamplingArguments
{
    private readonly Option<int?> maxTokens;
    private readonly Option<float?> temperature = NumberOption.Create<float>("--temperature", "0 always takes the most probable token. [default of this and the next four: as generation_config.json says]");
    private readonly Option<int?> topK = NumberOption.Create<int>("--top-k", "Draw from the n most probable tokens; 0: all.");
    private readonly Option<float?> topP = NumberOption.Create<float>("--top-p", "Draw from the most probable tokens whose probabilities add up to this.");
    private readonly Option<float?> minP = NumberOption.Create<float>("--min-p", "Draw from tokens with at least this share of the most probable one's probability.");
    private readonly Option<float?> penalty = NumberOption.Create<float>("--repetition-penalty", "Makes tokens that have occurred less probable; 1: leaves them.");
    private readonly Option<ulong?> seed = NumberOption.Create<ulong>("--seed", "The same seed and kernels give the same text. [default: another each time]");
    private readonly Option<string[]> stop = new("--stop") { Description = "End before this text; may be given several times.", HelpName = "text" };
    private readonly Option<int?> logProbs = NumberOption.Create<int>(
        "--logprobs", "Instead of text, write one line per token: id, log-probability, token; then those of the n most probable.");

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="answers">Whether it writes answers, to their end; else it continues a text.</param>
    public SamplingArguments(Command command, bool answers = false)
    {
        maxTokens = NumberOption.Create<int>("--max-tokens", $"The most tokens to generate. [default: as generation_config.json, or {(answers ? "to the end of the answer" : "256")}]", "-n");
        Option[] all = [maxTokens, temperature, topK, topP, minP, penalty, seed, stop, .. answers ? Array.Empty<Option>() : [logProbs]];
        foreach (var option in all)
            command.Options.Add(option);
    }

    /// <summary>What the checkpoint recommends, beside the options given: what they stand for may not be implemented, or make no sense.</summary>
    /// <exception cref="ModelFormatException">What they don't stand for can't be followed.</exception>
    public GenerationOptions Options(ParseResult parsed, GenerationDefaults defaults)
    {
        (Option Option, string[] Fields)[] all =
        [
            (maxTokens, ["max_new_tokens"]), (temperature, ["temperature", "do_sample"]), (topK, ["top_k"]), (topP, ["top_p"]), (minP, ["min_p"]),
            (penalty, ["repetition_penalty"]), (stop, ["stop_strings"]),
        ];
        float? given = parsed.GetValue(temperature);
        IEnumerable<string> said = all.Where(entry => parsed.GetResult(entry.Option) is { Implicit: false }).SelectMany(entry => entry.Fields);
        // Of the best token always, what picks among others says nothing.
        return Options(parsed, GenerationOptions.From(defaults, [.. said, .. given == 0 ? ["top_k", "top_p", "min_p"] : Array.Empty<string>()], given));
    }

    /// <summary>The options given, the others from <paramref name="defaults"/>.</summary>
    public GenerationOptions Options(ParseResult parsed, GenerationOptions defaults) => defaults with
    {
        MaxTokens = parsed.GetValue(maxTokens) ?? defaults.MaxTokens,
        Temperature = parsed.GetValue(temperature) ?? defaults.Temperature,
        TopK = parsed.GetValue(topK) ?? defaults.TopK,
        TopP = parsed.GetValue(topP) ?? defaults.TopP,
        MinP = parsed.GetValue(minP) ?? defaults.MinP,
        RepetitionPenalty = parsed.GetValue(penalty) ?? defaults.RepetitionPenalty,
        Seed = parsed.GetValue(seed) ?? defaults.Seed,
        StopStrings = parsed.GetValue(stop) is { Length: > 0 } given ? given : defaults.StopStrings,
        LogProbs = parsed.GetValue(logProbs) ?? defaults.LogProbs,
    };
}

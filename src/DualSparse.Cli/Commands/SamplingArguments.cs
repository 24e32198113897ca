using System.CommandLine;
using DualSparse.Engine.Serving;

namespace DualSparse.Cli.Commands;

/// <summary>The options that say how text is generated; what isn't given stays as the checkpoint wants it.</summary>
internal sealed class SamplingArguments
{
    private readonly Option<int?> maxTokens = new("--max-tokens", "-n") { Description = "Tokens to generate at most.", HelpName = "n" };
    private readonly Option<float?> temperature = new("--temperature") { Description = "0 takes the best token always.", HelpName = "x" };
    private readonly Option<int?> topK = new("--top-k") { Description = "Draw from so many best tokens; 0: all.", HelpName = "n" };
    private readonly Option<float?> topP = new("--top-p") { Description = "Draw from the best tokens that reach this probability.", HelpName = "x" };
    private readonly Option<float?> minP = new("--min-p") { Description = "Draw from tokens with this share of the best one's probability.", HelpName = "x" };
    private readonly Option<float?> penalty = new("--repetition-penalty") { Description = "Divide the logits of tokens already there; 1: don't.", HelpName = "x" };
    private readonly Option<ulong?> seed = new("--seed") { Description = "The same seed and kernels give the same text.", HelpName = "n" };
    private readonly Option<string[]> stop = new("--stop") { Description = "End before this text; may be given several times.", HelpName = "text" };
    private readonly Option<int?> logProbs = new("--logprobs")
    {
        Description = "Instead of text, a line a token: id, log-probability, token; then those of the n most probable.",
        HelpName = "n",
    };

    /// <summary>Adds the options to a command.</summary>
    public SamplingArguments(Command command)
    {
        Option[] all = [maxTokens, temperature, topK, topP, minP, penalty, seed, stop, logProbs];
        foreach (var option in all)
            command.Options.Add(option);
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

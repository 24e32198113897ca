using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using DualSparse.Benchmarking.Serving;
using DualSparse.Cli.Hosting;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>bench serve</c> is asked for.</summary>
/// <param name="Loads">One after another.</param>
/// <param name="Model">What the server calls its model; null: the first that it lists.</param>
/// <param name="Chat">Whether prompts are messages.</param>
/// <param name="Text">What prompts are pieces of; null: common words.</param>
/// <param name="LongPrompt">Tokens of a prompt that comes to streams under way; null: none does.</param>
/// <param name="Fields">Fields of every request beside the usual ones.</param>
internal sealed record ServeSetting(IReadOnlyList<ServeLoad> Loads, string? Model, bool Chat, string? Text, int? LongPrompt, JsonObject? Fields);

/// <summary>The options that say what load a server gets.</summary>
internal sealed class ServeRequest
{
    // Short enough that the model that ships has room for it, and a prompt's and a token's time both show.
    private const int DefaultPrompt = 128, DefaultOutput = 64;

    // Seconds of each load unless told otherwise: a few dozen answers from a model of this machine's size.
    private const double DefaultSeconds = 10;

    // Streams that a long prompt comes to, and how long they write: past its first token.
    private const int DefaultStreams = 16, DefaultStreamTokens = 4096;

    private readonly Option<string?> model = new("--served-model") { Description = "What the server calls its model. [default: the first that it lists]", HelpName = "name" };
    private readonly Option<bool> chat = new("--chat") { Description = "Prompts are messages, which the server puts into its template. [default: texts, for /v1/completions]" };
    private readonly Option<string?> rate = new("--rate") { Description = "Requests that arrive a second, by a Poisson process; several loads one after another.", HelpName = "x,x" };
    private readonly Option<string?> concurrency = new("--concurrency") { Description = "Requests under way at any time instead. [default: 1,4,16; with --long-prompt 16]", HelpName = "n,n" };
    private readonly Option<int?> requests = NumberOption.Create<int>("--requests", "Requests of each load. [default: as many as --seconds have room for]");
    private readonly Option<double?> seconds = NumberOption.Create<double>("--seconds", $"Seconds in which each load's requests are made; what is under way then is waited for. [default: {DefaultSeconds}, or none with --requests]");
    private readonly Option<int?> prompt = NumberOption.Create<int>("--prompt-tokens", $"Length of each prompt, in the server's tokens where it has /tokenize and /detokenize, else of {PromptSource.CharactersPerToken} characters. [default: {DefaultPrompt}]");
    private readonly Option<int?> answer = NumberOption.Create<int>("--output-tokens", $"Length of each answer. Servers that don't know ignore_eos may end sooner. [default: {DefaultOutput}; with --long-prompt {DefaultStreamTokens}]");
    private readonly Option<int?> prefix = NumberOption.Create<int>("--shared-prefix", "Tokens at the beginning of prompts that others have, too. [default: 0]");
    private readonly Option<int?> prefixes = NumberOption.Create<int>("--prefixes", "How many different such beginnings there are. [default: 1]");
    private readonly Option<int?> longPrompt = NumberOption.Create<int>("--long-prompt", "Instead: one prompt of so many tokens comes to --concurrency streams under way; times between their tokens before it, and until its own first token.");
    private readonly Option<string?> text = new("--text") { Description = "Take prompts from this file; - is standard input. [default: common words in a random order]", HelpName = "file" };
    private readonly Option<double?> drop = NumberOption.Create<double>("--drop", "Ask for this share of the routed experts' work to be skipped, in every request.");
    private readonly Option<double?> maxKl = NumberOption.Create<double>("--max-kl", "Ask for a drop within this expected KL, in every request.");
    private readonly Option<double?> timeout = NumberOption.Create<double>("--timeout", "Seconds after which a request is given up. [default: 300]");
    private readonly Option<ulong?> seed = NumberOption.Create<ulong>("--seed", "Where prompts and arrivals begin to be drawn. [default: 0]");

    /// <summary>Adds the options to a command.</summary>
    public ServeRequest(Command command)
    {
        foreach (Option option in new Option[] { model, chat, rate, concurrency, requests, seconds, prompt, answer, prefix, prefixes, longPrompt, text, drop, maxKl, timeout, seed })
            command.Options.Add(option);
    }

    /// <summary>What was asked for.</summary>
    /// <exception cref="ArgumentException">An option makes no sense.</exception>
    public ServeSetting Read(ParseResult parsed)
    {
        int? large = parsed.GetValue(longPrompt);
        string? rates = parsed.GetValue(rate), atOnce = parsed.GetValue(concurrency);
        if (rates is not null && atOnce is not null)
            throw new ArgumentException("--rate and --concurrency are two ways to load a server: give one of them");
        if (large is not null && (rates is not null || atOnce?.Contains(',', StringComparison.Ordinal) == true))
            throw new ArgumentException("--long-prompt comes to one number of streams: give --concurrency n");
        if (large is < 1)
            throw new ArgumentException($"--long-prompt is {large}, expected at least 1");
        var load = new ServeLoad(parsed.GetValue(prompt) ?? DefaultPrompt, parsed.GetValue(answer) ?? (large is null ? DefaultOutput : DefaultStreamTokens))
        {
            Requests = parsed.GetValue(requests),
            Seconds = parsed.GetValue(seconds) ?? (parsed.GetValue(requests) is null ? DefaultSeconds : null),
            SharedPrefix = parsed.GetValue(prefix) ?? 0,
            Prefixes = parsed.GetValue(prefixes) ?? 1,
            TimeoutSeconds = parsed.GetValue(timeout) ?? 300,
            Seed = parsed.GetValue(seed) ?? 0,
        };
        ServeLoad[] loads = rates is not null
            ? [.. Numbers(rate.Name, rates).Select(r => load with { Rate = r })]
            : [.. Numbers(concurrency.Name, atOnce ?? (large is null ? "1,4,16" : $"{DefaultStreams}")).Select(n => load with { Concurrency = n == (int)n ? (int)n : throw new ArgumentException($"'{n}' in --concurrency, expected whole numbers") })];
        foreach (var each in loads)
            each.Check();
        string? words = parsed.GetValue(text) is { } file ? InputText.Read(file) : null;
        if (words is { Length: 0 })
            throw new ArgumentException($"--text is {parsed.GetValue(text)}, which is empty: there is nothing to take prompts from");
        return new ServeSetting(loads, parsed.GetValue(model), parsed.GetValue(chat), words, large, BenchServeCommand.Dial(parsed.GetValue(drop), parsed.GetValue(maxKl)));
    }

    private static double[] Numbers(string option, string list) => [.. list.Split(',').Select(n => double.TryParse(n, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value > 0
        ? value
        : throw new ArgumentException($"'{n}' in {option}, expected positive numbers with commas between them"))];
}

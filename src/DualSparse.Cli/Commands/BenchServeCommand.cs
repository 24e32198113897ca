using System.CommandLine;
using System.Text.Json.Nodes;
using DualSparse.Benchmarking.Serving;
using DualSparse.Cli.Hosting;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse bench serve</c>: a server under load, ours or any that speaks OpenAI's interface.</summary>
internal static class BenchServeCommand
{
    /// <summary>The command's name.</summary>
    public const string Word = "serve";

    // Of an answer that isn't measured: generation has begun then.
    private const int WarmUpTokens = 16;

    private static readonly Option<string?> s_url = new("--url") { Description = "The server, such as http://127.0.0.1:8080/v1. [default: one is started for the model, in a process of its own]", HelpName = "address" };
    private static readonly Option<string?> s_key = new("--key") { Description = "What the server wants as a key.", HelpName = "text" };
    private static readonly Option<string?> s_csv = new("--csv") { Description = "Write every request: when it was due, sent, first answered and over, its tokens and its error.", HelpName = "file.csv" };
    private static readonly Option<string?> s_svg = new("--svg") { Description = "Draw the times over the load; with --long-prompt, over time.", HelpName = "file.svg" };
    private static readonly Option<bool> s_json = new("--json") { Description = "Write JSON." };

    public static Command Create()
    {
        var command = new Command(Word, "Times a server under load: time to the first token (TTFT), time between tokens (ITL), tokens a second, errors by kind.");
        var model = new ModelArgument(command, positional: true);
        var engine = new EngineArguments(command);
        command.Options.Add(s_url);
        command.Options.Add(s_key);
        var request = new ServeRequest(command);
        foreach (Option option in new Option[] { s_csv, s_svg, s_json })
            command.Options.Add(option);
        command.SetAction(parsed =>
        {
            OutputFile.Check(s_csv.Name, parsed.GetValue(s_csv));
            OutputFile.Check(s_svg.Name, parsed.GetValue(s_svg));
            var setting = request.Read(parsed);
            string? url = parsed.GetValue(s_url);
            engine.Engine(parsed);
            if (url is not null && model.Given(parsed) is { } both)
                throw new ArgumentException($"--url and the model '{both}' name two servers: give one of them; what the server calls its model is --served-model");
            string[] started = url is null ? ["serve", model.Folder(parsed), "--port", "0", .. engine.Arguments(parsed)] : [];
            using var interrupt = new Interrupt();
            return RunAsync(parsed, url, started, setting, interrupt.Token).GetAwaiter().GetResult();
        });
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, string? url, string[] started, ServeSetting setting, CancellationToken cancel)
    {
        var errors = parsed.InvocationConfiguration.Error;
        using var server = url is null ? await OwnServer.StartAsync(Path.Combine(AppContext.BaseDirectory, "dualsparse.dll"), started, cancel).ConfigureAwait(false) : null;
        using var target = new ServeTarget(server?.Url ?? url!, parsed.GetValue(s_key), setting.Chat);
        await target.FindModelAsync(setting.Model, cancel).ConfigureAwait(false);
        var prompts = await PromptSource.CreateAsync(target, setting.Text, Math.Max(setting.LongPrompt ?? 0, setting.Loads.Max(l => l.PromptTokens)), setting.Loads[0].Seed, cancel).ConfigureAwait(false);
        await WarmUpAsync(target, prompts, setting, cancel).ConfigureAwait(false);
        var output = new ServeOutput(target, prompts, setting, own: server is not null);
        if (setting.LongPrompt is { } tokens)
        {
            var report = await LongPromptRun.RunAsync(target, prompts, setting.Loads[0], tokens, setting.Fields, cancel).ConfigureAwait(false);
            if (parsed.GetValue(s_svg) is { } picture)
                await File.WriteAllTextAsync(picture, ServePicture.Draw(output.Title, report), cancel).ConfigureAwait(false);
            output.Write(parsed.InvocationConfiguration.Output, report, parsed.GetValue(s_json));
            return report.Error is null ? 0 : CommandHost.Failed;
        }

        List<LoadRun> runs = [];
        foreach (var load in setting.Loads)
        {
            errors.WriteLine($"{load.Name}");
            runs.Add(await LoadRun.RunAsync(target, prompts, load, setting.Fields, cancel).ConfigureAwait(false));
        }

        ServeReport[] reports = [.. runs.Select(ServeReport.Of)];
        if (parsed.GetValue(s_csv) is { } csv)
            await File.WriteAllLinesAsync(csv, ServeOutput.Csv(runs), cancel).ConfigureAwait(false);
        if (parsed.GetValue(s_svg) is { } path)
            await File.WriteAllTextAsync(path, ServePicture.Draw(output.Title, setting.Loads[0].Rate is null ? "requests at once" : "requests a second", reports), cancel).ConfigureAwait(false);
        output.Write(parsed.InvocationConfiguration.Output, reports, parsed.GetValue(s_json));
        return 0;
    }

    // What the first request of a process pays for isn't load: code that is compiled, memory that is taken. A server that refuses it is a mistake.
    private static async Task WarmUpAsync(ServeTarget target, PromptSource prompts, ServeSetting setting, CancellationToken cancel)
    {
        var first = setting.Loads[0];
        var load = first with { OutputTokens = Math.Min(first.OutputTokens, WarmUpTokens), Rate = null, Concurrency = 1, Requests = 2, Seconds = null, Seed = ~first.Seed };
        var run = await LoadRun.RunAsync(target, prompts, load, setting.Fields, cancel).ConfigureAwait(false);
        if (run.Calls.FirstOrDefault(c => c.Error is not null) is { } failed)
            throw new InvalidOperationException($"{target} answers a request of {load.PromptTokens} and {load.OutputTokens} tokens with '{failed.Error}'");
    }

    /// <summary>Fields of a request that set the dial.</summary>
    internal static JsonObject? Dial(double? drop, double? maxKl) => (drop, maxKl) switch
    {
        (null, null) => null,
        (not null, not null) => throw new ArgumentException("--drop and --max-kl are two ways to say one thing: give one of them"),
        ({ } share, _) => new JsonObject { ["drop"] = share },
        (_, { } kl) => new JsonObject { ["max_kl"] = kl },
    };
}

using System.CommandLine;
using System.Globalization;
using System.Net;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Server;

namespace DualSparse.Cli.Commands;

/// <summary>The options that say where a model is served, to whom, and how much at a time.</summary>
internal sealed class ServeArguments
{
    /// <summary>The environment variable that holds a key, for those who don't want it among a process's arguments.</summary>
    public const string KeyVariable = "DUALSPARSE_API_KEY";

    private const int DefaultPort = 8080;

    private readonly Option<int?> port = NumberOption.Create<int>("--port", $"The port; 0: a free one. [default: {DefaultPort}]", "-p");
    private readonly Option<string> host = new("--host") { Description = "The address to listen at: an IP address, or 0.0.0.0 for every one of this machine. Beyond this machine give --api-key too.", HelpName = "address", DefaultValueFactory = _ => "127.0.0.1" };
    private readonly Option<string[]> keys = new("--api-key") { Description = $"A key of which requests must carry one, as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'; may be given several times. [default: {KeyVariable}, or none is asked for]", HelpName = "key" };
    private readonly Option<string[]> origins = new("--cors-origin") { Description = "A web page's origin that may call, such as https://chat.example; may be given several times. [default: any]", HelpName = "origin" };
    private readonly Option<string?> name = new("--name") { Description = "The model's id in requests. [default: its folder's name]", HelpName = "id" };
    private readonly Option<string[]> aliases = new("--alias") { Description = "NAME=X: the id MODEL:NAME skips the share X of the routed experts' work; may be given several times. [default: dense=0 and fast=0.25]", HelpName = "name=x" };
    private readonly Option<int?> running = NumberOption.Create<int>("--max-running", $"Requests that generate at once. [default: {new SchedulerOptions().MaxRunning}]");
    private readonly Option<int?> queued = NumberOption.Create<int>("--max-queued", $"Requests that wait; more are answered with 429. [default: {new SchedulerOptions().MaxQueued}]");
    private readonly Option<int?> queuedTokens = NumberOption.Create<int>("--max-queued-tokens", "Prompt tokens of all that wait; more are answered with 429. [default: any number]");
    private readonly Option<double?> queueTimeout = NumberOption.Create<double>("--queue-timeout", "Seconds that a request may wait. [default: as long as --request-timeout]");
    private readonly Option<double?> requestTimeout = NumberOption.Create<double>("--request-timeout", "Seconds from a request's arrival to its last token. [default: 3600]");
    private readonly Option<double?> drainTimeout = NumberOption.Create<double>("--drain-timeout", "Seconds that running requests may go on once the server is asked to end. [default: 30]");
    private readonly Option<int?> body = NumberOption.Create<int>("--max-body", "The largest body of a request in KiB. [default: 8192]");

    /// <summary>Adds the options to a command.</summary>
    public ServeArguments(Command command)
    {
        Option[] all = [port, host, keys, origins, name, aliases, running, queued, queuedTokens, queueTimeout, requestTimeout, drainTimeout, body];
        foreach (var option in all)
            command.Options.Add(option);
    }

    /// <summary>Where to listen.</summary>
    /// <exception cref="ArgumentException">There is no such address or port.</exception>
    public IPEndPoint EndPoint(ParseResult parsed)
    {
        int number = parsed.GetValue(port) ?? DefaultPort;
        string address = parsed.GetValue(host)!;
        if (number is < 0 or > IPEndPoint.MaxPort)
            throw new ArgumentException($"--port is {number}, expected 0 to {IPEndPoint.MaxPort}");
        return new IPEndPoint(
            address == "localhost" ? IPAddress.Loopback
            : IPAddress.TryParse(address, out var ip) ? ip
            : throw new ArgumentException($"--host is '{address}', expected an IP address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"), number);
    }

    /// <summary>Changes how the model is served to what was given.</summary>
    /// <exception cref="ArgumentException">A value makes no sense.</exception>
    public void Apply(ParseResult parsed, ServerOptions options)
    {
        options.Name = parsed.GetValue(name);
        foreach (string key in parsed.GetValue(keys) is { Length: > 0 } given ? given : Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } one ? [one] : [])
            options.ApiKeys.Add(key.Trim() is { Length: > 0 } text ? text : throw new ArgumentException("--api-key is empty, expected a key"));
        if (parsed.GetValue(origins) is { Length: > 0 } pages)
        {
            options.CorsOrigins.Clear();
            foreach (string page in pages)
                options.CorsOrigins.Add(page.TrimEnd('/'));
        }

        foreach (string alias in parsed.GetValue(aliases) ?? [])
            options.Aliases[Name(alias)] = new DropRequest { Rate = Rate(alias) };
        options.Scheduler = Scheduler(parsed, options.Scheduler);
        options.RequestTimeout = Seconds(parsed, requestTimeout) ?? options.RequestTimeout;
        options.DrainTimeout = Seconds(parsed, drainTimeout) ?? options.DrainTimeout;
        options.MaxBodyBytes = AtLeastOne(parsed, body) * 1024L ?? options.MaxBodyBytes;
    }

    private SchedulerOptions Scheduler(ParseResult parsed, SchedulerOptions defaults) => defaults with
    {
        MaxRunning = AtLeastOne(parsed, running) ?? defaults.MaxRunning,
        MaxQueued = AtLeastOne(parsed, queued) ?? defaults.MaxQueued,
        MaxQueuedTokens = AtLeastOne(parsed, queuedTokens) ?? defaults.MaxQueuedTokens,
        QueueTimeout = Seconds(parsed, queueTimeout) ?? defaults.QueueTimeout,
    };

    private static int? AtLeastOne(ParseResult parsed, Option<int?> option) =>
        parsed.GetValue(option) is not { } value ? null : value >= 1 ? value : throw new ArgumentException($"{option.Name} is {value}, expected at least 1");

    // A day is more than anything takes; timers have an end.
    private static TimeSpan? Seconds(ParseResult parsed, Option<double?> option) =>
        parsed.GetValue(option) is not { } value ? null : value is > 0 and <= 86400 ? TimeSpan.FromSeconds(value) : throw new ArgumentException($"{option.Name} is {value}, expected seconds, more than 0 and at most 86400");

    private static string Name(string alias) =>
        alias.Split('=') is [{ Length: > 0 } name, _] ? name : throw new ArgumentException($"--alias is '{alias}', expected NAME=X, such as fast=0.25");

    private static double Rate(string alias) =>
        double.TryParse(alias.Split('=')[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double rate) && rate is >= 0 and < 1
            ? rate : throw new ArgumentException($"--alias is '{alias}', expected NAME=X with X from 0 to below 1");
}

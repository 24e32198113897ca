using System.CommandLine;
using System.Net;
using DualSparse.Cli.Hosting;
using DualSparse.Server;

namespace DualSparse.Cli.Commands;

/// <summary>What a server says once it is ready: its address, a line to try it with, and the dial.</summary>
internal static class ServeGreeting
{
    public static void Write(InvocationConfiguration streams, ServedModel served, ServerOptions options, IPEndPoint where, Uri url)
    {
        var (output, errors) = (streams.Output, streams.Error);
        string root = url.GetLeftPart(UriPartial.Authority), key = options.ApiKeys.Count > 0 ? " -H 'Authorization: Bearer KEY'" : "";
        var scheduler = options.Scheduler;
        output.WriteLine($"serving {served.Name} at {root}/v1, {scheduler.MaxRunning} requests at once and {scheduler.MaxQueued} more in the queue, {served.Scheduler.ContextTokens} tokens of context each");
        output.WriteLine(served.Template is null
            ? $"try: curl {root}/v1/completions{key} -d '{{\"prompt\": \"Once upon a time\", \"max_tokens\": 32, \"drop\": 0.25}}'"
            : $"try: curl {root}/v1/chat/completions{key} -d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}], \"max_tokens\": 32, \"drop\": 0.25}}'");
        if (served.Template is null)
            output.WriteLine("the model has no chat template that can be used: /v1/chat/completions needs --chat-template FILE");
        output.WriteLine("the dial: \"drop\" or \"max_kl\" in a request, or the model's id:");
        foreach (string id in served.Dial.Ids)
        {
            var facts = served.Dial.Facts(id);
            string drop = facts.Drop is 0 ? "skips nothing" : facts.Drop is { } share ? $"skips {share:0.#%}".Replace("%", " %", StringComparison.Ordinal) : facts.MaxKl is { } kl ? $"skips what a KL of {kl:0.#####} allows" : "skips by thresholds";
            output.WriteLine($"  {id}: {drop}{(facts.Drop is 0 ? "" : facts.ExpectedKl is { } loss ? $", expected KL {loss:0.####} nats a token" : ", expected KL unknown: 'dualsparse sparsify' measures it")}");
        }

        output.Flush();
        if (!IPAddress.IsLoopback(where.Address) && options.ApiKeys.Count == 0)
            errors.WriteLine($"note: whoever reaches {where} may use this server: give --api-key, or {ServeArguments.KeyVariable}");
        foreach (string note in served.Model.Notes)
            Terminal.WriteLine(errors, $"note: {note}");
    }
}

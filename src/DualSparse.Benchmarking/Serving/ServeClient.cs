using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DualSparse.Benchmarking.Serving;

/// <summary>Makes requests that stream, and notes when each piece of text arrives.</summary>
/// <param name="target">The server.</param>
/// <param name="more">Fields that every request has beside the usual ones, such as <c>drop</c>.</param>
/// <param name="started">The time from which seconds are counted, of <see cref="Stopwatch"/>.</param>
internal sealed class ServeClient(ServeTarget target, JsonObject? more, long started)
{
    private const string Data = "data:", Done = "[DONE]";

    /// <summary>Seconds since the run began.</summary>
    public double Now => Stopwatch.GetElapsedTime(started).TotalSeconds;

    /// <summary>Makes a request and reads its answer to the end.</summary>
    /// <param name="due">When it was to be sent.</param>
    /// <param name="prompt">Its prompt.</param>
    /// <param name="tokens">Tokens that it asks for.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="cancel">Ends the whole run.</param>
    /// <param name="pieces">Where times of pieces are put as they come, under its own lock; null: nobody looks on.</param>
    /// <returns>What became of it; a failure is a result, too.</returns>
    public async Task<ServeCall> RunAsync(double due, ServePrompt prompt, int tokens, TimeSpan timeout, CancellationToken cancel, List<double>? pieces = null)
    {
        pieces ??= [];
        var call = new ServeCall(due, Now) { Pieces = pieces };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(timeout);
        string? error;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, target.Generate) { Content = JsonContent.Create(Body(prompt, tokens)) };
            using var answer = await target.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            if (answer.StatusCode != HttpStatusCode.OK)
                return call with { Ended = Now, Error = await RefusalAsync(answer, limit.Token).ConfigureAwait(false) };
            (call, error) = await ReadAsync(call, pieces, answer, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            error = "timed out";
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            error = pieces.Count == 0 ? "connection failed" : "stream broken off";
        }

        return call with { Ended = Now, Error = error, OutputTokens = call.OutputTokens == 0 ? pieces.Count : call.OutputTokens };
    }

    private JsonObject Body(ServePrompt prompt, int tokens)
    {
        // Greedy, and where the server can be told so, on past the end of the text: every answer has the length that was asked for.
        var body = new JsonObject
        {
            ["model"] = target.Model,
            ["max_tokens"] = tokens,
            ["temperature"] = 0,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["ignore_eos"] = true,
        };
        if (target.Chat)
            body["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt.Text });
        else
            body["prompt"] = prompt.Ids is { } ids ? new JsonArray([.. ids.Select(id => (JsonNode)id)]) : prompt.Text;
        foreach (var (name, value) in more ?? [])
            body[name] = value?.DeepClone();
        return body;
    }

    private async Task<(ServeCall Call, string? Error)> ReadAsync(ServeCall call, List<double> pieces, HttpResponseMessage answer, CancellationToken cancel)
    {
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false));
        bool finished = false;
        while (await reader.ReadLineAsync(cancel).ConfigureAwait(false) is { } line)
        {
            if (!line.StartsWith(Data, StringComparison.Ordinal))
                continue;
            double at = Now;
            string data = line[Data.Length..].Trim();
            if (data == Done)
                return (call, finished ? null : "no finish reason");
            try
            {
                using var json = JsonDocument.Parse(data);
                var root = json.RootElement;
                if (root.TryGetProperty("error", out _))
                    return (call, "error in the stream");
                if (root.TryGetProperty("choices", out var choices) && choices.GetArrayLength() > 0)
                {
                    if (HasText(choices[0]))
                    {
                        lock (pieces)
                            pieces.Add(at);
                    }

                    finished |= choices[0].TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String;
                }

                if (root.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
                    call = Counted(call, usage);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
            {
                return (call, "an event that isn't OpenAI's");
            }
        }

        return (call, finished ? null : "stream broken off");
    }

    private bool HasText(JsonElement choice)
    {
        // Whoever asks for log-probabilities gets an event a token, also where a token ends no character.
        if (choice.TryGetProperty("logprobs", out var known) && known.ValueKind == JsonValueKind.Object)
            return true;
        if (!target.Chat)
            return choice.TryGetProperty("text", out var text) && text.GetString() is { Length: > 0 };
        // Reasoning and calls of tools are tokens, too.
        return choice.TryGetProperty("delta", out var delta) && delta.EnumerateObject().Any(part => part.Name is "content" or "reasoning_content" or "reasoning"
            ? part.Value.ValueKind == JsonValueKind.String && part.Value.GetString() is { Length: > 0 }
            : part.Name == "tool_calls" && part.Value.ValueKind == JsonValueKind.Array);
    }

    private static ServeCall Counted(ServeCall call, JsonElement usage) => call with
    {
        PromptTokens = Count(usage, "prompt_tokens"),
        OutputTokens = Count(usage, "completion_tokens"),
        CachedTokens = usage.TryGetProperty("prompt_tokens_details", out var details) && details.ValueKind == JsonValueKind.Object ? Count(details, "cached_tokens") : 0,
    };

    private static int Count(JsonElement of, string name) => of.TryGetProperty(name, out var value) && value.TryGetInt32(out int count) ? count : 0;

    // "429 queue_full"; what else is said differs from one request to the next.
    private static async Task<string> RefusalAsync(HttpResponseMessage answer, CancellationToken cancel)
    {
        int status = (int)answer.StatusCode;
        try
        {
            var json = await answer.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false);
            var error = json.GetProperty("error");
            string? code = new[] { "code", "type" }.Select(name => error.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null).FirstOrDefault(c => c is not null);
            return code is null ? $"{status}" : $"{status} {code}";
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IOException or HttpRequestException)
        {
            return $"{status}";
        }
    }
}

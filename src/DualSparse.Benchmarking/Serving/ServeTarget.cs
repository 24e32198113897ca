using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace DualSparse.Benchmarking.Serving;

/// <summary>A server that speaks OpenAI's interface, and one of its models.</summary>
internal sealed class ServeTarget : IDisposable
{
    private readonly Uri root;

    /// <summary>Names a server; nothing is sent yet.</summary>
    /// <param name="url">Its address, with or without <c>/v1</c>.</param>
    /// <param name="key">What it wants as a key; null: none.</param>
    /// <param name="chat">Whether prompts are messages, to which the server applies its template; else texts.</param>
    /// <exception cref="ArgumentException">It is no such address.</exception>
    public ServeTarget(string url, string? key, bool chat)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var given) || given.Scheme is not ("http" or "https"))
            throw new ArgumentException($"--url is '{url}', expected an address such as http://127.0.0.1:8080/v1");
        string path = given.AbsolutePath.TrimEnd('/');
        root = new Uri(given, (path.EndsWith("/v1", StringComparison.Ordinal) ? path[..^3] : path) + "/");
        Chat = chat;
        // A request is a connection of its own at any load; the pool would else make them wait here.
        Http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = int.MaxValue, UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };
        if (key is not null)
            Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>What sends requests.</summary>
    public HttpClient Http { get; }

    /// <summary>Whether prompts are messages.</summary>
    public bool Chat { get; }

    /// <summary>The model that is asked for.</summary>
    public string Model { get; private set; } = "";

    /// <summary>Where generation is asked for.</summary>
    public Uri Generate => new(root, Chat ? "v1/chat/completions" : "v1/completions");

    /// <summary>The server's address.</summary>
    public override string ToString() => root.ToString().TrimEnd('/');

    /// <summary>Finds the model.</summary>
    /// <param name="model">Its name; null: the first that the server lists.</param>
    /// <param name="cancel">Cancels it.</param>
    /// <exception cref="ArgumentException">The server isn't there, refuses, or lists none.</exception>
    public async Task FindModelAsync(string? model, CancellationToken cancel)
    {
        try
        {
            using var answer = await Http.GetAsync(new Uri(root, "v1/models"), cancel).ConfigureAwait(false);
            if (!answer.IsSuccessStatusCode && model is null)
                throw new ArgumentException($"{this} answers v1/models with {(int)answer.StatusCode}: name its model with --served-model, its key with --key");
            Model = model ?? (await answer.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false)).GetProperty("data")[0].GetProperty("id").GetString()!;
        }
        catch (HttpRequestException e)
        {
            throw new ArgumentException($"{this} can't be reached: {e.InnerException?.Message ?? e.Message}");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException)
        {
            throw new ArgumentException($"{this} doesn't list its models as OpenAI's interface does: name one with --served-model");
        }
    }

    /// <summary>Text as the server's ids; null: it has no such endpoint.</summary>
    public async Task<int[]?> TokenizeAsync(string text, CancellationToken cancel) =>
        await PostAsync("tokenize", new { model = Model, prompt = text, add_special_tokens = false }, "tokens", cancel).ConfigureAwait(false) is { ValueKind: JsonValueKind.Array } ids
            ? [.. ids.EnumerateArray().Select(id => id.GetInt32())]
            : null;

    /// <summary>The text of ids; null: the server has no such endpoint.</summary>
    public async Task<string?> DetokenizeAsync(IReadOnlyList<int> ids, CancellationToken cancel) =>
        await PostAsync("detokenize", new { model = Model, tokens = ids }, "prompt", cancel).ConfigureAwait(false) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    /// <inheritdoc/>
    public void Dispose() => Http.Dispose();

    private async Task<JsonElement?> PostAsync(string path, object body, string field, CancellationToken cancel)
    {
        using var answer = await Http.PostAsJsonAsync(new Uri(root, path), body, cancel).ConfigureAwait(false);
        if (!answer.IsSuccessStatusCode)
            return null;
        try
        {
            var json = await answer.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false);
            return json.ValueKind == JsonValueKind.Object && json.TryGetProperty(field, out var value) ? value.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Server;

/// <summary><c>POST /v1/completions</c>.</summary>
internal static class Completions
{
    // OpenAI's, and what evaluation harnesses rely on.
    private const int DefaultTokens = 16;

    /// <summary>Continues texts.</summary>
    public static async Task HandleAsync(Call call)
    {
        (call.Operation, call.PromptField) = ("text_completion", "prompt");
        var served = call.Host.Serving;
        var body = await RequestBody.ReadAsync(call.Http, call.Options.MaxBodyBytes).ConfigureAwait(false);
        string model = call.Model = served.Dial.Id(body["model"].Text());
        Refusals.CheckText(body);
        var setting = served.Dial.Read(call.Http.Request.Headers, body, model);
        bool stream = body["stream"].Flag(false), echo = body["echo"].Flag(false);
        bool usage = body["stream_options"] is { IsNull: false } asked && asked["include_usage"].Flag(false);
        int? logProbs = LogProbs(body["logprobs"]);
        var options = Sampling.Read(body, served.Model, logProbs, least: 0, DefaultTokens);
        int choices = body["n"].Int(1, Limits.Choices(call.Options)) ?? 1;
        string salt = body["cache_salt"].Text() ?? "";
        var prompts = Prompts.Read(body["prompt"], served.Model, call.Options);
        using var submission = Submission.Submit(served.Scheduler, [.. prompts.Select(prompt => new GenerationRequest
        {
            Prompt = prompt.Ids,
            Options = options,
            Choices = choices,
            Drop = setting.Request,
            CacheSalt = salt,
            PromptLogProbs = echo ? logProbs : null,
        })], call.Cancel);
        await submission.AdmittedAsync(call.Cancel).ConfigureAwait(false);
        Dial.Tell(call.Http, setting);
        var answer = new TextAnswer(call, served, model, submission, setting, echo ? prompts : null, logProbs is not null);
        await (stream ? answer.StreamAsync(usage) : answer.WholeAsync()).ConfigureAwait(false);
    }

    // A number here, true or false in conversations: some clients send the latter everywhere.
    private static int? LogProbs(BodyField field) =>
        field.Value.Element.ValueKind is System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False ? field.Flag(false) ? 0 : null : field.Int(0, Limits.TopLogProbs);
}

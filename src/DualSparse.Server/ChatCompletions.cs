using DualSparse.Engine.Serving.Batching;

namespace DualSparse.Server;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatCompletions
{
    /// <summary>Answers a conversation.</summary>
    public static async Task HandleAsync(Call call)
    {
        (call.Operation, call.PromptField) = ("chat", "messages");
        var served = call.Host.Serving;
        var body = await RequestBody.ReadAsync(call.Http, call.Options.MaxBodyBytes).ConfigureAwait(false);
        string model = call.Model = served.Dial.Id(body["model"].Text());
        Refusals.CheckChat(body);
        var setting = served.Dial.Read(call.Http.Request.Headers, body, model);
        bool stream = body["stream"].Flag(false), usage = body["stream_options"] is { IsNull: false } asked && asked["include_usage"].Flag(false);
        var options = Sampling.Read(body, served.Model, LogProbs(body), least: 1, most: null);
        int choices = body["n"].Int(1, Limits.Choices(call.Options)) ?? 1;
        bool parallel = body["parallel_tool_calls"].Flag(true);
        var tools = Conversation.Tools(body)?.Value.Element;
        var chat = Conversation.Render(body, served, call.Options);
        var prompt = Conversation.Prompt(body, chat, served);
        using var submission = Submission.Submit(served.Scheduler, [new GenerationRequest
        {
            Prompt = prompt.Ids,
            Pictures = prompt.Pictures,
            Options = options,
            Choices = choices,
            Drop = setting.Request,
            CacheSalt = body["cache_salt"].Text() ?? "",
        }], call.Cancel);
        await submission.AdmittedAsync(call.Cancel).ConfigureAwait(false);
        Dial.Tell(call.Http, setting);
        var answer = new ChatAnswer(call, served, model, submission, setting, Reader, withLogProbs: options.LogProbs is not null);
        await (stream ? answer.StreamAsync(usage) : answer.WholeAsync()).ConfigureAwait(false);

        AnswerText Reader() => new(served.Model.Tokenizer, served.Template!, chat, tools, parallel);
    }

    // How many alternatives to each token; null: no log-probabilities at all.
    private static int? LogProbs(BodyField body)
    {
        bool wanted = body["logprobs"].Flag(false);
        int? top = body["top_logprobs"].Int(0, Limits.TopLogProbs);
        return wanted ? top ?? 0 : top is null or 0 ? null : throw Errors.Invalid("the request: 'top_logprobs' goes with 'logprobs': true", "top_logprobs");
    }
}

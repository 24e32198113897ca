using System.Text;
using DualSparse.Engine.Serving;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>The answer to a conversation, in one piece or token by token.</summary>
/// <param name="call">The request.</param>
/// <param name="served">The model.</param>
/// <param name="model">The id that it was called by.</param>
/// <param name="submission">What generates.</param>
/// <param name="setting">What is dropped.</param>
/// <param name="reader">Reads one answer.</param>
/// <param name="withLogProbs">Whether tokens are told with their log-probabilities.</param>
internal sealed class ChatAnswer(Call call, ServedModel served, string model, Submission submission, DialSetting setting, Func<AnswerText> reader, bool withLogProbs)
{
    private const string Role = "assistant";

    private readonly string id = Ids.New("chatcmpl-");
    private readonly long created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
    private readonly TokenTexts texts = new(served.Model.Tokenizer);
    private readonly AnswerText[] answers = [.. Enumerable.Range(0, submission.Answers).Select(_ => reader())];

    /// <summary>Answers in one piece.</summary>
    public async Task WholeAsync()
    {
        var messages = answers.Select(_ => new MessageBuilder()).ToArray();
        await foreach (var (choice, token) in submission.ReadAsync(call.Cancel).ConfigureAwait(false))
        {
            call.TokenCame();
            messages[choice].Add(answers[choice].Push(token));
            if (withLogProbs)
                messages[choice].LogProbs.Add(texts.Chat(token));
            if (token.Finish is { } finish)
                messages[choice].Finish = FinishReasons.Of(finish, answers[choice].Calls);
        }

        call.Used = GeneratedUsage.Of(submission.Streams, setting);
        ChatChoice[] choices = [.. messages.Select((m, i) => new ChatChoice(i, m.Message(Role), withLogProbs ? new ChatLogProbs(m.LogProbs, null) : null, m.Finish))];
        var answer = new ChatCompletion(id, "chat.completion", created, model, served.Fingerprint, choices, call.Used.ToUsage());
        await Json.WriteAsync(call.Http, answer, ServerJson.Own.ChatCompletion).ConfigureAwait(false);
    }

    /// <summary>Answers as the tokens come: the role first, then text, then why it ended; what it took if <paramref name="usage"/>.</summary>
    public async Task StreamAsync(bool usage)
    {
        var writer = new SseWriter(call.Http, call.Options.CommentEvery);
        await writer.StartAsync(call.Cancel).ConfigureAwait(false);
        for (int i = 0; i < answers.Length; i++)
            await Send(i, new ChatDelta { Role = Role, Content = "" }).ConfigureAwait(false);
        await foreach (var (choice, token) in writer.WithCommentsAsync(submission.ReadAsync(call.Cancel), call.Cancel).ConfigureAwait(false))
        {
            call.TokenCame();
            var deltas = answers[choice].Push(token);
            // The log-probabilities of a token whose text is held back are not.
            if (deltas.Count == 0 && withLogProbs)
                deltas = [new ChatDelta { Content = "" }];
            var known = withLogProbs ? new ChatLogProbs([texts.Chat(token)], null) : null;
            foreach (var delta in deltas)
            {
                await Send(choice, delta, known).ConfigureAwait(false);
                known = null;
            }

            if (token.Finish is { } finish)
                await Send(choice, new ChatDelta(), null, FinishReasons.Of(finish, answers[choice].Calls)).ConfigureAwait(false);
        }

        call.Used = GeneratedUsage.Of(submission.Streams, setting);
        if (usage)
            await Write(Chunk([]) with { Usage = call.Used.ToUsage() }).ConfigureAwait(false);
        await writer.DoneAsync(call.Cancel).ConfigureAwait(false);

        Task Send(int index, ChatDelta delta, ChatLogProbs? known = null, string? finish = null) => Write(Chunk([new ChunkChoice(index, delta, finish) { Logprobs = known }]));
        Task Write(ChatChunk chunk) => writer.SendAsync(chunk, ServerJson.Own.ChatChunk, call.Cancel);
    }

    private ChatChunk Chunk(IReadOnlyList<ChunkChoice> choices) => new(id, "chat.completion.chunk", created, model, served.Fingerprint, choices);

    // One message in the making.
    private sealed class MessageBuilder
    {
        private readonly StringBuilder content = new(), reasoning = new();
        private readonly List<(string Id, string Name, StringBuilder Arguments)> calls = [];

        public List<ChatToken> LogProbs { get; } = [];

        // Whoever asks for no token gets none.
        public string Finish { get; set; } = FinishReasons.Of(FinishReason.MaxTokens);

        public void Add(IReadOnlyList<ChatDelta> deltas)
        {
            foreach (var delta in deltas)
            {
                content.Append(delta.Content);
                reasoning.Append(delta.ReasoningContent);
                foreach (var part in delta.ToolCalls ?? [])
                {
                    if (part.Index == calls.Count)
                        calls.Add((part.Id!, part.Function.Name!, new StringBuilder()));
                    calls[part.Index].Arguments.Append(part.Function.Arguments);
                }
            }
        }

        // Beside calls no text is null, as clients expect it.
        public ChatMessage Message(string role) => new(role, content.Length == 0 && calls.Count > 0 ? null : content.ToString(), null)
        {
            ReasoningContent = reasoning.Length > 0 ? reasoning.ToString() : null,
            ToolCalls = calls.Count > 0 ? [.. calls.Select(c => new ToolCall(c.Id, "function", new FunctionCall(c.Name, c.Arguments.ToString())))] : null,
        };
    }
}

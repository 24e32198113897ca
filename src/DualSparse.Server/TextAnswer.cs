using System.Text;
using DualSparse.Engine.Serving;
using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary>The continuations of texts, in one piece or token by token.</summary>
/// <param name="call">The request.</param>
/// <param name="served">The model.</param>
/// <param name="model">The id that it was called by.</param>
/// <param name="submission">What generates.</param>
/// <param name="setting">What is dropped.</param>
/// <param name="echoed">The prompts, to be told before their continuations; null: they aren't.</param>
/// <param name="withLogProbs">Whether tokens are told with their log-probabilities.</param>
internal sealed class TextAnswer(
    Call call, ServedModel served, string model, Submission submission, DialSetting setting, IReadOnlyList<Prompt>? echoed, bool withLogProbs)
{
    private readonly string id = Ids.New("cmpl-");
    private readonly long created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
    private readonly TokenTexts texts = new(served.Model.Tokenizer);
    private readonly TokenList?[] lists = new TokenList?[submission.Answers];
    private readonly bool[] begun = new bool[submission.Answers];

    /// <summary>Answers in one piece.</summary>
    public async Task WholeAsync()
    {
        var pieces = lists.Select(_ => new StringBuilder()).ToArray();
        var reasons = new FinishReason[lists.Length];
        Array.Fill(reasons, FinishReason.MaxTokens);
        await foreach (var (choice, token) in submission.ReadAsync(call.Cancel).ConfigureAwait(false))
        {
            call.TokenCame();
            Begin(choice, pieces[choice]);
            pieces[choice].Append(token.Text);
            lists[choice]?.Add(token.Id, token.LogProb, token.Alternatives);
            reasons[choice] = token.Finish ?? reasons[choice];
        }

        for (int i = 0; i < lists.Length; i++)
            Begin(i, pieces[i]);
        call.Used = GeneratedUsage.Of(submission.Streams, setting);
        TextChoice[] choices = [.. pieces.Select((text, i) => new TextChoice(text.ToString(), i, lists[i]?.Take(), FinishReasons.Of(reasons[i])))];
        await Json.WriteAsync(call.Http, Chunk(choices) with { Usage = call.Used.ToUsage() }, ServerJson.Own.TextCompletion).ConfigureAwait(false);
    }

    /// <summary>Answers as the tokens come; what it took at the end if <paramref name="usage"/>.</summary>
    public async Task StreamAsync(bool usage)
    {
        var writer = new SseWriter(call.Http, call.Options.CommentEvery);
        await writer.StartAsync(call.Cancel).ConfigureAwait(false);
        await foreach (var (choice, token) in writer.WithCommentsAsync(submission.ReadAsync(call.Cancel), call.Cancel).ConfigureAwait(false))
        {
            call.TokenCame();
            var text = new StringBuilder();
            Begin(choice, text);
            text.Append(token.Text);
            lists[choice]?.Add(token.Id, token.LogProb, token.Alternatives);
            if (text.Length > 0 || withLogProbs)
                await Send(choice, text.ToString(), lists[choice]?.Take()).ConfigureAwait(false);
            if (token.Finish is { } finish)
                await Send(choice, "", null, FinishReasons.Of(finish)).ConfigureAwait(false);
        }

        // Who asks for no token gets what was asked for beside it.
        for (int i = 0; i < begun.Length; i++)
        {
            if (begun[i])
                continue;
            var text = new StringBuilder();
            Begin(i, text);
            await Send(i, text.ToString(), lists[i]?.Take(), FinishReasons.Of(FinishReason.MaxTokens)).ConfigureAwait(false);
        }

        call.Used = GeneratedUsage.Of(submission.Streams, setting);
        if (usage)
            await Write(Chunk([]) with { Usage = call.Used.ToUsage() }).ConfigureAwait(false);
        await writer.DoneAsync(call.Cancel).ConfigureAwait(false);

        Task Send(int index, string text, TextLogProbs? known, string? finish = null) => Write(Chunk([new TextChoice(text, index, known, finish)]));
        Task Write(TextCompletion chunk) => writer.SendAsync(chunk, ServerJson.Own.TextCompletion, call.Cancel);
    }

    // Before an answer's first token: its prompt, if that is to be told.
    private void Begin(int answer, StringBuilder text)
    {
        if (begun[answer])
            return;
        begun[answer] = true;
        int prompt = answer / submission.Choices;
        lists[answer] = withLogProbs ? new TokenList(texts) : null;
        if (echoed is null)
            return;
        text.Append(echoed[prompt].Text ?? served.Model.Tokenizer.Decode(echoed[prompt].Ids, skipSpecial: true));
        foreach (var token in withLogProbs ? submission.Streams[prompt].PromptLogProbs : [])
            lists[answer]!.Add(token.Id, token.LogProb, token.Best);
    }

    private TextCompletion Chunk(IReadOnlyList<TextChoice> choices) => new(id, "text_completion", created, model, served.Fingerprint, choices);
}

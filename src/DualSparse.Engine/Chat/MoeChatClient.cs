using System.Runtime.CompilerServices;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Engine.Vision;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;
using Microsoft.Extensions.AI;

namespace DualSparse.Engine.Chat;

/// <summary>
/// A model as <see cref="IChatClient"/>: prompts by its chat template, answers taken apart into text, reasoning and calls of functions. It
/// keeps no conversation; what prompts have in common with earlier ones comes from the scheduler's cache. For any number of threads.
/// </summary>
/// <param name="scheduler">Runs requests side by side.</param>
/// <param name="owned">What ends with the client, in this order.</param>
internal sealed class MoeChatClient(Scheduler scheduler, params IReadOnlyList<IDisposable> owned) : IChatClient
{
    // The keys of the dial's figures, in usage and beside it.
    private const string DropKey = "dualsparse.drop", ExpectedKey = "dualsparse.expected_kl", NeuronsKey = "dualsparse.neurons", ComputedKey = "dualsparse.neurons_computed";

    // As the server calls it: its folder.
    private readonly ChatClientMetadata metadata = new("dualsparse", null, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(scheduler.Model.Transformer.Folder))));

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
            updates.Add(update);
        var response = updates.ToChatResponse();
        // The last update's own, wherever else they are put together.
        response.AdditionalProperties = updates[^1].AdditionalProperties;
        return response;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var model = scheduler.Model;
        var template = model.ChatTemplate ?? throw new InvalidOperationException(
            "the model has no chat template, and none is made up: give one by EngineOptions.ChatTemplate, or continue a text with a session");
        List<DataContent>? pictures = model.Config.Vision is null ? null : [];
        var conversation = ChatPrompt.Write(messages, options, pictures);
        var rendered = template.Render(conversation);
        var prompt = PicturePrompt.Of(
            model.Config, model.Tokenizer.Encode(rendered), [.. (pictures ?? []).Select((picture, i) => model.ReadPicture(picture.Data.ToArray(), picture.Name ?? $"picture {i + 1}"))], scheduler.ContextTokens);
        var reply = new ChatReply(new ToolCallParser(template, rendered, conversation.Tools), model.Tokenizer);
        var stream = scheduler.Submit(ChatSettings.Request(this, model, prompt, options), cancellationToken);
        string id = $"chatcmpl-{Guid.NewGuid():N}";
        var created = DateTimeOffset.UtcNow;
        FinishReason? finish = null;
        await foreach (var (_, token) in stream.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            finish = token.Finish;
            if (reply.Take(token) is { Count: > 0 } contents)
                yield return Update(contents);
        }

        var last = reply.End();
        last.Add(new UsageContent(Usage(stream.Usage)));
        var end = Update(last);
        end.FinishReason = reply.Calls ? ChatFinishReason.ToolCalls : finish is FinishReason.MaxTokens or FinishReason.ContextFull ? ChatFinishReason.Length : ChatFinishReason.Stop;
        end.AdditionalProperties = new() { [DropKey] = stream.Usage.Dropped.Rate, [ExpectedKey] = stream.Usage.Expected?.Kl.Value };
        yield return end;

        ChatResponseUpdate Update(IList<AIContent> contents) => new(ChatRole.Assistant, contents) { ResponseId = id, MessageId = id, CreatedAt = created, ModelId = metadata.DefaultModelId };
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? metadata
            : serviceType == typeof(MoeModel) ? scheduler.Model
            : serviceType == typeof(Tokenizer) ? scheduler.Model.Tokenizer
            : serviceType == typeof(Scheduler) ? scheduler
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in owned)
            one.Dispose();
    }

    private static UsageDetails Usage(RequestUsage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.GeneratedTokens,
        TotalTokenCount = usage.PromptTokens + usage.GeneratedTokens,
        CachedInputTokenCount = usage.CachedTokens,
        AdditionalCounts = new() { [NeuronsKey] = usage.Dropped.Neurons, [ComputedKey] = usage.Dropped.NeuronsComputed },
    };
}

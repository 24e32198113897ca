using System.Globalization;
using System.Text.Json;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Engine.Vision;
using Microsoft.Extensions.AI;

namespace DualSparse.Engine.Chat;

/// <summary>How an answer is generated: what <see cref="ChatOptions"/> say, else as the checkpoint recommends.</summary>
internal static class ChatSettings
{
    // The keys of the dial in AdditionalProperties, as in the server's requests.
    private const string DropKey = "drop", MaxKlKey = "max_kl", SaltKey = "cache_salt";

    /// <summary>A request for the scheduler.</summary>
    /// <param name="client">Who asks.</param>
    /// <param name="model">The model.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="options">The options; null: none.</param>
    /// <exception cref="NotSupportedException">They ask for what can't be kept.</exception>
    /// <exception cref="ArgumentException">A value makes no sense.</exception>
    public static GenerationRequest Request(IChatClient client, MoeModel model, PicturePrompt prompt, ChatOptions? options)
    {
        Refuse(options);
        object? raw = options?.RawRepresentationFactory?.Invoke(client);
        if (raw is not (null or GenerationOptions or DropRequest))
            throw new ArgumentException($"RawRepresentationFactory gave a {raw.GetType().Name}, expected GenerationOptions or DropRequest");
        return new GenerationRequest
        {
            Prompt = prompt.Ids,
            Pictures = prompt.Pictures,
            Options = Options(model, options, raw as GenerationOptions),
            Drop = Dial(options) ?? raw as DropRequest,
            CacheSalt = options?.AdditionalProperties?.GetValueOrDefault(SaltKey)?.ToString() ?? "",
        };
    }

    // Never passed over: the answer would be another one than was asked for.
    private static void Refuse(ChatOptions? options)
    {
        if (options?.ResponseFormat is not (null or ChatResponseFormatText))
            throw new NotSupportedException("ResponseFormat asks for JSON, which can't be enforced yet: leave it out, and ask for JSON in words");
        if (options?.ToolMode is RequiredChatToolMode)
            throw new NotSupportedException("ToolMode asks that a function be called, which can't be enforced yet: expected Auto or None");
        if (options?.ConversationId is not null)
            throw new NotSupportedException("ConversationId names a conversation kept here, and none is: give all its messages");
        if (options?.ContinuationToken is not null)
            throw new NotSupportedException("ContinuationToken asks to go on with an answer, and none is kept");
    }

    private static GenerationOptions Options(MoeModel model, ChatOptions? options, GenerationOptions? given)
    {
        (bool Said, string[] Fields)[] all =
        [
            (options?.Temperature is not null, ["temperature", "do_sample"]), (options?.TopK is not null, ["top_k"]), (options?.TopP is not null, ["top_p"]),
            (options?.MaxOutputTokens is not null, ["max_new_tokens"]),
        ];
        // Of the best token always, what picks among others says nothing.
        string[] said = [.. all.Where(a => a.Said).SelectMany(a => a.Fields), .. options?.Temperature == 0 ? ["top_k", "top_p", "min_p"] : Array.Empty<string>()];
        var start = given ?? GenerationOptions.From(model.Config.Generation, said, options?.Temperature);
        return options is null ? start : start with
        {
            MaxTokens = options.MaxOutputTokens ?? start.MaxTokens,
            Temperature = options.Temperature ?? start.Temperature,
            TopK = options.TopK ?? start.TopK,
            TopP = options.TopP ?? start.TopP,
            Seed = options.Seed is { } seed ? unchecked((ulong)seed) : start.Seed,
            PresencePenalty = options.PresencePenalty ?? start.PresencePenalty,
            FrequencyPenalty = options.FrequencyPenalty ?? start.FrequencyPenalty,
            StopStrings = options.StopSequences is { Count: > 0 } stops ? [.. start.StopStrings, .. stops] : start.StopStrings,
        };
    }

    private static DropRequest? Dial(ChatOptions? options)
    {
        double? drop = Number(options, DropKey), kl = Number(options, MaxKlKey);
        return (drop, kl) switch
        {
            (null, null) => null,
            (not null, not null) => throw new ArgumentException($"AdditionalProperties have '{DropKey}' and '{MaxKlKey}', two ways to say one thing: give one of them"),
            ({ } rate, _) => new DropRequest { Rate = rate },
            (_, { } most) => new DropRequest { MaxKl = most },
        };
    }

    private static double? Number(ChatOptions? options, string key) => options?.AdditionalProperties?.GetValueOrDefault(key) switch
    {
        null => null,
        JsonElement { ValueKind: JsonValueKind.Number } element => element.GetDouble(),
        IConvertible number and not string and not bool => number.ToDouble(CultureInfo.InvariantCulture),
        var other => throw new ArgumentException($"AdditionalProperties[\"{key}\"] is '{other}', expected a number"),
    };
}

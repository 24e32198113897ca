using DualSparse.Engine.Chat;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using Microsoft.Extensions.AI;

namespace DualSparse.Engine;

/// <summary>Models as <see cref="IChatClient"/> of Microsoft.Extensions.AI.</summary>
/// <remarks>
/// Prompts are written by the model's chat template; tools are told to the model and its calls come back as
/// <see cref="FunctionCallContent"/>; pictures are <see cref="DataContent"/>, PNG or JPEG, for models that read them; reasoning as <see cref="TextReasoningContent"/>. <c>AdditionalProperties["drop"]</c> or
/// <c>["max_kl"]</c> of the options set the dial; so does a <see cref="DropRequest"/> from <c>RawRepresentationFactory</c>, which may give
/// <see cref="GenerationOptions"/> instead. The response's <c>AdditionalProperties</c> have <c>dualsparse.drop</c> and
/// <c>dualsparse.expected_kl</c> (nats a token; null: not known). What can't be kept, such as a JSON schema, is refused with
/// <see cref="NotSupportedException"/>.
/// </remarks>
public static class ChatClients
{
    /// <summary>A client with a scheduler of its own; disposing it disposes the model, too.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How many requests run and wait; null: as usual.</param>
    public static IChatClient AsChatClient(this MoeModel model, SchedulerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        var scheduler = new Scheduler(model, options);
        return new MoeChatClient(scheduler, scheduler, model);
    }

    /// <summary>A client beside others of the same scheduler, which disposing it leaves as it is.</summary>
    /// <param name="scheduler">The scheduler.</param>
    public static IChatClient AsChatClient(this Scheduler scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return new MoeChatClient(scheduler);
    }
}

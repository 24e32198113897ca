using System.Runtime.CompilerServices;
using DualSparse.Engine;
using Microsoft.Extensions.AI;

namespace DualSparse.Server;

/// <summary>The served model as a service of its application: calls wait until it is loaded, and share its scheduler with those from outside.</summary>
/// <param name="host">The model's life.</param>
internal sealed class HostedChatClient(ModelHost host) : IChatClient
{
    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await (await LoadedAsync(cancellationToken).ConfigureAwait(false)).GetResponseAsync(messages, options, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var client = await LoadedAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var update in client.GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
            yield return update;
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : host.Known?.Scheduler.AsChatClient().GetService(serviceType, serviceKey);

    /// <inheritdoc/>
    public void Dispose()
    {
        // The model and its scheduler are the host's.
    }

    private async Task<IChatClient> LoadedAsync(CancellationToken cancel) => (await host.Loaded.WaitAsync(cancel).ConfigureAwait(false)).Scheduler.AsChatClient();
}

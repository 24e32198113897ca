using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DualSparse.Server;

/// <summary>
/// The model's life beside the server's: it is loaded once the port is open, so that a mistake about the port is told first and /health says
/// "loading"; as the server stops it takes no more requests and finishes those that run.
/// </summary>
internal sealed class ModelHost : IHostedLifecycleService, IDisposable
{
    private readonly Func<CancellationToken, MoeModel> load;
    private readonly bool own;
    private readonly ServerOptions options;
    private readonly IHostApplicationLifetime lifetime;
    private readonly ILogger<ModelHost> log;
    private readonly CancellationTokenSource stopping = new();
    private readonly TaskCompletionSource<ServedModel> loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task loading = Task.CompletedTask;
    private volatile bool draining;
    private bool disposed;

    /// <summary>Prepares it.</summary>
    /// <param name="load">Loads the model.</param>
    /// <param name="own">Whether the model is disposed with this.</param>
    /// <param name="options">How it is served.</param>
    /// <param name="lifetime">The server's.</param>
    /// <param name="log">Where a failure is told.</param>
    public ModelHost(Func<CancellationToken, MoeModel> load, bool own, ServerOptions options, IHostApplicationLifetime lifetime, ILogger<ModelHost> log)
    {
        (this.load, this.own, this.options, this.lifetime, this.log) = (load, own, options, lifetime, log);
        // A failure that nobody waits for is no failure of the process.
        loaded.Task.ContinueWith(static task => task.Exception, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously);
    }

    /// <summary>The model, once it is loaded; faults as the loading does.</summary>
    public Task<ServedModel> Loaded => loaded.Task;

    /// <summary>The model for a request.</summary>
    /// <exception cref="ApiException">It isn't loaded yet, or the server is stopping.</exception>
    public ServedModel Serving => draining ? throw Errors.Draining()
        : loaded.Task.IsCompletedSuccessfully ? loaded.Task.Result
        : throw Errors.Loading(loaded.Task.IsFaulted ? "the model couldn't be loaded" : "the model is being loaded");

    /// <summary>The model where it is loaded, for figures; null: it isn't.</summary>
    public ServedModel? Known => loaded.Task.IsCompletedSuccessfully ? loaded.Task.Result : null;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        loading = Task.Run(Load, CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <summary>Before the server closes its port: what runs is finished, and what comes is told to go elsewhere.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        draining = true;
        await stopping.CancelAsync().ConfigureAwait(false);
        await loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (Known is { } served)
            await served.Scheduler.DrainAsync(options.DrainTimeout).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Frees scheduler and model; once, however often the container that has it under two names asks.</summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        stopping.Cancel();
        loading.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
        if (Known is { } served)
        {
            served.Scheduler.Dispose();
            if (own)
                served.Model.Dispose();
        }

        stopping.Dispose();
    }

    private void Load()
    {
        MoeModel? model = null;
        try
        {
            model = load(stopping.Token);
            var scheduler = new Scheduler(model, options.Scheduler);
            loaded.SetResult(new ServedModel(model, scheduler, options));
        }
        catch (Exception e)
        {
            if (own)
                model?.Dispose();
            loaded.SetException(e);
            if (e is not OperationCanceledException)
                Told(log, e);
            lifetime.StopApplication();
        }
    }

    private static readonly Action<ILogger, string, Exception?> s_failed =
        LoggerMessage.Define<string>(LogLevel.Critical, new EventId(1, "ModelNotLoaded"), "the model couldn't be loaded: {Reason}");

    private static void Told(ILogger log, Exception e) => s_failed(log, e.Message, null);
}

using System.CommandLine;
using System.Net;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Models;
using DualSparse.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse serve MODEL</c>: OpenAI's endpoints, until it is asked to end.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var command = new Command("serve", "Serves a model to OpenAI clients.");
        var model = new ModelArgument(command, positional: true);
        var serve = new ServeArguments(command);
        var template = new Option<string?>("--chat-template") { Description = "A file with the Jinja template that writes conversations. [default: the model's own]", HelpName = "file" };
        command.Options.Add(template);
        var engine = new EngineArguments(command);
        var drop = new DropArguments(command);
        var ranks = new RankArguments(command);
        command.SetAction(parsed =>
        {
            var where = serve.EndPoint(parsed);
            serve.Apply(parsed, new ServerOptions());
            var options = engine.Engine(parsed) with
            {
                Drop = drop.Request(parsed),
                ChatTemplate = parsed.GetValue(template),
            };
            return ranks.Run(parsed, () => model.Folder(parsed), options, chosen => RunAsync(parsed, where, Path.GetFullPath(model.Folder(parsed)), settings =>
            {
                serve.Apply(parsed, settings);
                settings.Engine = chosen;
            }).GetAwaiter().GetResult());
        });
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, IPEndPoint where, string folder, Action<ServerOptions> configure)
    {
        // What is refused needn't open a port first.
        ModelConfig.Load(ModelPath.Resolve(folder));
        using var interrupt = new Interrupt();
        using var progress = new LoadingLine(parsed.InvocationConfiguration.Error);
        await using var app = Build(where, folder, configure, progress);
        await StartAsync(app, where).ConfigureAwait(false);
        var host = app.Services.GetRequiredService<ModelHost>();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(interrupt.Token, app.Lifetime.ApplicationStopping);
        try
        {
            var served = await host.Loaded.WaitAsync(interrupt.Token).ConfigureAwait(false);
            progress.Dispose();
            ServeGreeting.Write(parsed.InvocationConfiguration, served, app.Services.GetRequiredService<ServerOptions>(), where, new Uri(app.Urls.First()));
            await Task.Delay(Timeout.InfiniteTimeSpan, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            await app.StopAsync(CancellationToken.None).ConfigureAwait(false);
        }

        return 0;
    }

    private static WebApplication Build(IPEndPoint where, string folder, Action<ServerOptions> configure, IProgress<LoadProgress> progress)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning).AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace)
            // What keeps the server from starting ends the command, which tells it.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None).AddFilter(typeof(ModelHost).FullName, LogLevel.None);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(where);
        });
        DualSparseServices.Add(builder.Services, options => cancel => MoeModel.Load(folder, options.Engine, progress, cancel), own: true, configure);
        builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();
        var app = builder.Build();
        app.MapDualSparse();
        return app;
    }

    private static async Task StartAsync(WebApplication app, IPEndPoint where)
    {
        try
        {
            await app.StartAsync().ConfigureAwait(false);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw new IOException($"port {where.Port} at {where.Address} is in use by another program: give another by --port, or 0 for a free one", e);
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException || e.InnerException is System.Net.Sockets.SocketException)
        {
            throw new IOException($"the server can't listen at {where}: {(e.InnerException ?? e).Message}", e);
        }
    }

    // The command waits for signals itself: a second one ends the program at once.
    private sealed class CommandLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

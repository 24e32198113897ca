using DualSparse.Engine;
using DualSparse.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace DualSparse.Tests.Server;

/// <summary>A server whose model isn't there from the beginning.</summary>
internal sealed class LoadingServer : IAsyncDisposable
{
    private LoadingServer(WebApplication app) => (App, Client) = (app, new HttpClient { BaseAddress = new Uri(app.Urls.First()) });

    public WebApplication App { get; }

    public HttpClient Client { get; }

    public static async Task<LoadingServer> StartAsync(Func<CancellationToken, MoeModel> load)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        DualSparseServices.Add(builder.Services, _ => load, own: false, null);
        var app = builder.Build();
        app.MapDualSparse();
        await app.StartAsync();
        return new LoadingServer(app);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await App.StopAsync();
        await App.DisposeAsync();
    }
}

using DualSparse.Engine;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Metrics;

namespace DualSparse.Server;

/// <summary>A model among the services of an ASP.NET application.</summary>
public static class DualSparseServices
{
    /// <summary>
    /// Loads a model once the application's port is open, and serves it; <see cref="DualSparseEndpoints.MapDualSparse"/> adds the endpoints. It is the
    /// application's <see cref="IChatClient"/> too.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="configure">Changes how it is served.</param>
    public static IServiceCollection AddDualSparse(this IServiceCollection services, string folder, Action<ServerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        return Add(services, options => cancel => MoeModel.Load(folder, options.Engine, null, cancel), own: true, configure);
    }

    /// <summary>Serves a model that is loaded already and stays the caller's to dispose of, after the application.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="model">The model.</param>
    /// <param name="configure">Changes how it is served; <see cref="ServerOptions.Engine"/> is not looked at.</param>
    public static IServiceCollection AddDualSparse(this IServiceCollection services, MoeModel model, Action<ServerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Add(services, _ => _ => model, own: false, configure);
    }

    /// <summary>Adds a model that <paramref name="load"/> loads.</summary>
    internal static IServiceCollection Add(
        IServiceCollection services, Func<ServerOptions, Func<CancellationToken, MoeModel>> load, bool own, Action<ServerOptions>? configure)
    {
        var options = new ServerOptions();
        configure?.Invoke(options);
        services.AddSingleton(options);
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<ModelHost>(provider, load(options), own));
        services.AddHostedService(provider => provider.GetRequiredService<ModelHost>());
        services.AddSingleton(provider => provider.GetRequiredService<ModelHost>().Loaded.GetAwaiter().GetResult());
        services.AddSingleton<IChatClient, HostedChatClient>();
        services.AddSingleton(new Keys(options.ApiKeys));
        services.AddSingleton(new Cors(options.CorsOrigins));
        services.AddSingleton<ServerMetrics>();
        services.AddSingleton<Gate>();
        services.AddSingleton<IStartupFilter, SlashFilter>();
        services.AddRouting();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(ServerMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "System.Runtime").AddPrometheusExporter());
        // What still runs is given its time and then a little more, to be told that it is over.
        services.Configure<HostOptions>(host => host.ShutdownTimeout = options.DrainTimeout + TimeSpan.FromSeconds(5));
        return services;
    }
}

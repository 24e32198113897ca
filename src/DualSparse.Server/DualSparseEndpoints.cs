using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DualSparse.Server;

/// <summary>The endpoints of a served model.</summary>
public static class DualSparseEndpoints
{
    /// <summary>Adds them: /v1/models, /v1/chat/completions, /v1/completions, /health, /metrics, /tokenize, /detokenize, /tokenizer_info, /apply-template.</summary>
    /// <param name="endpoints">The application.</param>
    /// <exception cref="InvalidOperationException"><see cref="DualSparseServices.AddDualSparse(IServiceCollection, string, Action{ServerOptions}?)"/> wasn't called.</exception>
    public static IEndpointRouteBuilder MapDualSparse(this IEndpointRouteBuilder endpoints)
    {
        var gate = endpoints.ServiceProvider.GetRequiredService<Gate>();
        (string Path, string Method, Func<Call, Task> Handler, bool Open)[] all =
        [
            ("/v1/chat/completions", "POST", ChatCompletions.HandleAsync, false),
            ("/v1/completions", "POST", Completions.HandleAsync, false),
            ("/v1/models", "GET", ModelsEndpoint.ListAsync, true),
            // An id may have slashes, as those of a hub have.
            ("/v1/models/{**id}", "GET", ModelsEndpoint.OneAsync, true),
            ("/health", "GET", HealthEndpoint.HandleAsync, true),
            ("/tokenize", "POST", TokenEndpoints.TokenizeAsync, false),
            ("/detokenize", "POST", TokenEndpoints.DetokenizeAsync, false),
            ("/tokenizer_info", "GET", TokenEndpoints.InfoAsync, false),
            ("/apply-template", "POST", TokenEndpoints.TemplateAsync, false),
        ];
        foreach (var (path, method, handler, open) in all)
        {
            endpoints.MapMethods(path, [method], gate.Guard(handler, open));
            endpoints.MapMethods(path, ["OPTIONS"], gate.Preflight);
        }

        endpoints.MapPrometheusScrapingEndpoint("/metrics").Add(endpoint =>
        {
            var inner = endpoint.RequestDelegate!;
            endpoint.RequestDelegate = gate.Guard(call => inner(call.Http));
        });
        endpoints.MapFallback("/v1/{**rest}", gate.Guard(call => throw Errors.NotFound(
            $"there is no {call.Http.Request.Method} {Models.JsonField.Shorten(call.Http.Request.Path)} here, expected {string.Join(", ", all.Select(e => $"{e.Method} {e.Path}").Where(e => e.Contains("/v1/", StringComparison.Ordinal) && !e.Contains('{')))}", "unknown_url"), open: true));
        return endpoints;
    }
}

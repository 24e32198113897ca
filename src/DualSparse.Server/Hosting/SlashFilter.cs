using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>Takes <c>//v1/models</c> for <c>/v1/models</c>: what a client sends whose base address ends in a slash.</summary>
internal sealed class SlashFilter : IStartupFilter
{
    /// <inheritdoc/>
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => application =>
    {
        application.Use((http, inner) =>
        {
            if (http.Request.Path.Value is { } path && path.Contains("//", StringComparison.Ordinal))
                http.Request.Path = new PathString("/" + string.Join('/', path.Split('/', StringSplitOptions.RemoveEmptyEntries)));
            return inner(http);
        });
        next(application);
    };
}

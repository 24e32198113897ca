using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary><c>GET /health</c>: 200 where requests are taken; 503 while the model loads and while the server stops.</summary>
internal static class HealthEndpoint
{
    /// <summary>Answers.</summary>
    public static Task HandleAsync(Call call)
    {
        var served = call.Host.Serving;
        var state = served.Scheduler.State;
        if (state.Failure is { } failure)
            throw Errors.Broken(failure);
        return Json.WriteAsync(call.Http, new Health("ok", served.Name, state.Running, state.Waiting), ServerJson.Own.Health);
    }
}

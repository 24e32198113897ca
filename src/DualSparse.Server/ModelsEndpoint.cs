using DualSparse.Server.Protocol;

namespace DualSparse.Server;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/ID</c>: what is served under which ids, how long its context is, and what each position of the dial costs.</summary>
internal static class ModelsEndpoint
{
    /// <summary>Lists all ids.</summary>
    public static Task ListAsync(Call call)
    {
        var served = call.Host.Serving;
        return Json.WriteAsync(call.Http, new ModelList("list", [.. served.Dial.Ids.Select(id => Entry(served, id))]), ServerJson.Own.ModelList);
    }

    /// <summary>Describes one.</summary>
    public static Task OneAsync(Call call)
    {
        var served = call.Host.Serving;
        return Json.WriteAsync(call.Http, Entry(served, served.Dial.Id((string?)call.Http.Request.RouteValues["id"])), ServerJson.Own.ModelEntry);
    }

    private static ModelEntry Entry(ServedModel served, string id) =>
        new(id, "model", served.Created, "dualsparse", served.Scheduler.ContextTokens, served.Scheduler.ContextTokens, served.Dial.Facts(id));
}

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>An answer of JSON.</summary>
internal static class Json
{
    /// <summary>Writes it with its length.</summary>
    public static async Task WriteAsync<T>(HttpContext http, T value, JsonTypeInfo<T> how)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(value, how);
        http.Response.ContentType = "application/json; charset=utf-8";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted).ConfigureAwait(false);
    }
}

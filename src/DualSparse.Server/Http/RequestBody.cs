using System.Buffers;
using DualSparse.Models;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace DualSparse.Server;

/// <summary>A request's body, read to a limit and taken for JSON.</summary>
internal static class RequestBody
{
    // What messages call it.
    private const string Name = "the request";

    /// <summary>Reads the body as an object.</summary>
    /// <exception cref="ApiException">It is too long, no JSON, nested too deeply, or no object.</exception>
    public static async Task<BodyField> ReadAsync(HttpContext http, long limit)
    {
        // The server's own limit would answer in its own words.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = null;
        if (http.Request.ContentLength > limit)
            throw Errors.TooLarge(limit);
        var reader = http.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(http.RequestAborted).ConfigureAwait(false);
            // Whatever follows, the server must find the reader in order: it has the connection's next request to read.
            bool tooLarge = read.Buffer.Length > limit;
            byte[]? body = read.IsCompleted && !tooLarge ? read.Buffer.ToArray() : null;
            reader.AdvanceTo(tooLarge || read.IsCompleted ? read.Buffer.End : read.Buffer.Start, read.Buffer.End);
            if (tooLarge)
                throw Errors.TooLarge(limit);
            if (body is not null)
                return Parse(body);
        }
    }

    private static BodyField Parse(byte[] utf8)
    {
        if (utf8.AsSpan().Trim(" \t\r\n"u8).IsEmpty)
            throw Errors.Invalid("the request has no body, expected a JSON object", null, "invalid_json");
        try
        {
            var body = new BodyField(JsonField.Parse(utf8, Name));
            body.Require(System.Text.Json.JsonValueKind.Object, "an object");
            return body;
        }
        catch (ModelFormatException e)
        {
            throw Errors.Invalid(e.Message, null, "invalid_json", e);
        }
    }
}

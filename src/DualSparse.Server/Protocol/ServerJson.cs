using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DualSparse.Server.Protocol;

/// <summary>How answers are written, without reflection.</summary>
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(TextCompletion))]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelEntry))]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(Tokenized))]
[JsonSerializable(typeof(PromptText))]
internal sealed partial class ServerJson : JsonSerializerContext
{
    /// <summary>With letters of every script as they are: the answer says that it is JSON in UTF-8, and stands in no page.</summary>
    public static ServerJson Own { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}

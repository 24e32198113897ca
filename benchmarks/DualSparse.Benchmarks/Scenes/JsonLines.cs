using System.Text.Encodings.Web;
using System.Text.Json;
using DualSparse.Models.Pictures;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>What a record asks and what is to be answered.</summary>
/// <param name="Prompt">The question, or a sentence.</param>
/// <param name="Answer">With its leading space.</param>
internal readonly record struct Turn(string Prompt, string Answer);

/// <summary>Records to train on and items to test, one JSON object a line.</summary>
internal static class JsonLines
{
    // Base64 has signs that JSON in a page of HTML would escape.
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A record to train on: a picture, and turns of which the answers are learned.</summary>
    public static void WriteRecord(Stream file, Pixels picture, IEnumerable<Turn> turns) => Write(file, picture, json =>
    {
        json.WriteStartArray("turns");
        foreach (var (prompt, answer) in turns)
        {
            json.WriteStartObject();
            json.WriteString("prompt", prompt);
            json.WriteString("answer", answer);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    /// <summary>An item of a task of choices.</summary>
    public static void WriteItem(Stream file, Pixels picture, string query, IEnumerable<string> choices, int gold) => Write(file, picture, json =>
    {
        json.WriteString("query", query);
        json.WriteStartArray("choices");
        foreach (string choice in choices)
            json.WriteStringValue(choice);
        json.WriteEndArray();
        json.WriteNumber("gold", gold);
    });

    private static void Write(Stream file, Pixels picture, Action<Utf8JsonWriter> fields)
    {
        using (var json = new Utf8JsonWriter(file, s_options))
        {
            json.WriteStartObject();
            json.WriteStartArray("images");
            json.WriteStringValue(PngWriter.DataUri(picture));
            json.WriteEndArray();
            fields(json);
            json.WriteEndObject();
        }

        file.WriteByte((byte)'\n');
    }
}

using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using DualSparse.Models;

namespace DualSparse.Sparsify.Complete;

/// <summary>config.json of a completed checkpoint: the counts changed, as the family spells them, every other field as it stands.</summary>
internal static class CompleteConfig
{
    // Libraries have renamed it; whichever names stand there must agree.
    private static readonly string[] s_experts = ["num_experts", "num_local_experts", "n_routed_experts"];

    /// <summary>The mixture of experts that the new config.json must give.</summary>
    public static MoeConfig Expected(MoeConfig moe, Completion completion, int parts) => moe with
    {
        Experts = completion.Order.Count,
        TopK = completion.TopK,
        Intermediate = moe.Intermediate / parts,
        Groups = completion.Groups,
        TopKGroups = completion.TopKGroups,
    };

    /// <summary>The new file's bytes.</summary>
    /// <param name="json">The old file's, already known to be one object that names no field twice.</param>
    /// <param name="model">What they say.</param>
    /// <param name="expected">What the new ones must say.</param>
    /// <param name="parts">P.</param>
    public static byte[] Rewrite(ReadOnlySpan<byte> json, ModelConfig model, MoeConfig expected, int parts)
    {
        var old = JsonField.Parse(json, "config.json").Element;
        // These two have defaults: they are written where they didn't stand.
        Dictionary<string, int> changed = new(StringComparer.Ordinal)
        {
            ["num_experts_per_tok"] = expected.TopK,
            [model.ModelType is "mixtral" or "olmoe" ? "intermediate_size" : "moe_intermediate_size"] = expected.Intermediate,
        };
        foreach (string name in s_experts)
            Change(name, _ => expected.Experts);
        // A shared expert's width is its number times the routed experts' width, and stays.
        Change("n_shared_experts", count => count * parts);
        if (expected.Groups != model.Moe!.Groups)
        {
            Change("n_group", _ => expected.Groups);
            Change("topk_group", _ => expected.TopKGroups);
        }

        var bytes = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            foreach (var field in old.EnumerateObject())
            {
                if (changed.Remove(field.Name, out int value))
                    writer.WriteNumber(field.Name, value);
                else
                    field.WriteTo(writer);
            }

            foreach (var (name, value) in changed)
                writer.WriteNumber(name, value);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetBytes(JsonText.AsWritten(Encoding.UTF8.GetString(bytes.WrittenSpan)));

        void Change(string name, Func<int, int> to)
        {
            if (old.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number)
                changed[name] = to((int)value.GetDouble());
        }
    }
}

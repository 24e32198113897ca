using System.Text.Json;

namespace DualSparse.Models.Text.Templates;

/// <summary>What the tools of a request say of their parameters.</summary>
internal sealed class ToolSchemas
{
    private readonly HashSet<string> names = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Tool, string Parameter), string> types = [];

    /// <summary>Reads the request's tools.</summary>
    public ToolSchemas(JsonElement? tools)
    {
        if (tools is not { ValueKind: JsonValueKind.Array } list)
            return;
        Any = list.GetArrayLength() > 0;
        foreach (var tool in list.EnumerateArray())
        {
            var function = Field(tool, "function") is { ValueKind: JsonValueKind.Object } inner ? inner : tool;
            if (Field(function, "name") is not { ValueKind: JsonValueKind.String } name)
                continue;
            names.Add(name.GetString()!);
            if (Field(Field(function, "parameters"), "properties") is not { ValueKind: JsonValueKind.Object } properties)
                continue;
            foreach (var property in properties.EnumerateObject())
            {
                if (Field(property.Value, "type") is { ValueKind: JsonValueKind.String } type)
                    types[(name.GetString()!, property.Name)] = type.GetString()!;
            }
        }
    }

    /// <summary>Whether there are tools.</summary>
    public bool Any { get; }

    /// <summary>Whether a tool has this name.</summary>
    public bool Has(string name) => names.Contains(name);

    /// <summary>The type of a tool's parameter, as JSON Schema names it; null: it isn't said.</summary>
    public string? TypeOf(string tool, string parameter) => types.GetValueOrDefault((tool, parameter));

    private static JsonElement Field(JsonElement value, string name) => value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var field) ? field : default;
}

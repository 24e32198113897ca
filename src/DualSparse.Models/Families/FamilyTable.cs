namespace DualSparse.Models.Families;

/// <summary>Which file reads which <c>model_type</c>. A family is one function from config.json's fields to a <see cref="ModelConfig"/>.</summary>
internal static class FamilyTable
{
    private static readonly SortedDictionary<string, Func<ConfigFields, ModelConfig>> Families = new(StringComparer.Ordinal)
    {
        ["deepseek_v2"] = DeepSeekV2.Read,
        ["mixtral"] = Mixtral.Read,
        ["olmoe"] = Olmoe.Read,
        ["qwen2_moe"] = Qwen2Moe.Read,
        ["qwen3_moe"] = Qwen3Moe.Read,
        ["qwen3_vl_moe"] = Qwen3VlMoe.Read,
        ["scmoe"] = ScMoe.Read,
    };

    /// <exception cref="ModelFormatException">The family is unknown, or a field is not as it should be.</exception>
    public static ModelConfig Read(ConfigFields fields)
    {
        string type = fields.Text("model_type") ?? throw fields.Error($"'model_type' is missing, expected one of {string.Join(", ", Families.Keys)}");
        KnownFields.RefuseQuantised(fields);
        if (!Families.TryGetValue(type, out var read))
            throw fields.Error($"model_type '{type}' {KnownFamilies.Reason(type, Families.Keys)}");
        return read(fields);
    }
}

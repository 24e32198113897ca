namespace DualSparse.Models;

/// <summary>The field <c>wiring</c> of config.json, which is this program's own: every family's checkpoint may have been converted.</summary>
internal static class WiringField
{
    /// <summary>Its name.</summary>
    public const string Name = "wiring";

    /// <summary>Its value for <see cref="Wiring.FarSkip"/>.</summary>
    public const string FarSkip = "farskip";

    /// <summary>Reads it.</summary>
    /// <exception cref="ModelFormatException">It is not known, or doesn't go with the family.</exception>
    public static Wiring Read(ConfigFields fields, ModelConfig model)
    {
        string? value = fields.Text(Name);
        if (value is null)
            return Wiring.Standard;
        if (value != FarSkip)
            throw fields.Error($"'{Name}' is \"{value}\", expected \"{FarSkip}\", or no such field");
        if (model.Moe is null || model.Vision is not null || model.LayerPlan.Any(layer => layer.Shortcut > 0) || model.Moe.Dual || model.Moe.Combine == CombineGate.Both)
            throw fields.Error($"'{Name}' is \"{FarSkip}\", which takes a model of texts with experts and no other shortcut, second routing or gate over routed experts");
        return Wiring.FarSkip;
    }
}

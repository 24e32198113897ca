using DualSparse.Models;

namespace DualSparse.Training;

/// <summary>The factor of the balance loss that a model's config.json names, which running the model never asks for.</summary>
internal static class BalanceCoefficient
{
    private const string Field = "router_aux_loss_coef";

    // Many times what anybody trains with.
    private const double Most = 1e6;

    // What transformers' configurations have where the field is missing; ScMoE's is the paper's.
    private static readonly Dictionary<string, double> s_defaults = new(StringComparer.Ordinal)
    {
        ["mixtral"] = 0.001,
        ["olmoe"] = 0.01,
        ["qwen2_moe"] = 0.001,
        ["qwen3_moe"] = 0.001,
        ["qwen3_vl_moe"] = 0.001,
        ["scmoe"] = 0.01,
    };

    /// <summary>Reads <c>router_aux_loss_coef</c>; where it is missing or null, the family's own default.</summary>
    /// <param name="file">The path of config.json.</param>
    /// <exception cref="ModelFormatException">The file can't be read, or the field is no number from 0 on.</exception>
    public static float Read(string file)
    {
        var fields = JsonField.Parse(ModelFile.Read(file, ModelConfig.MaxConfigBytes), file);
        // A vision-language model has its text model's fields in an object of their own.
        var text = fields.Child("text_config");
        var field = (text.IsNull ? fields : text).Child(Field);
        return (float)(field.IsNull ? s_defaults.GetValueOrDefault(fields.Text("model_type", "")) : field.AsNumber(0, Most));
    }
}

using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>Reads calibration ids: a safetensors file with <c>calibration_ids</c> or <c>input_ids</c>, [windows, tokens] of any integer type.</summary>
internal static class CalibrationIds
{
    /// <summary>The windows.</summary>
    /// <exception cref="ModelFormatException">The file is missing or damaged, or holds no such tensor.</exception>
    public static int[][] Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        if (!file.Tensors.TryGetValue("calibration_ids", out var ids) && !file.Tensors.TryGetValue("input_ids", out ids))
            throw new ModelFormatException($"{path}: there is neither a tensor 'calibration_ids' nor 'input_ids'");
        if (ids.Shape.Count != 2 || ids.Count == 0)
            throw new ModelFormatException($"{path}: tensor '{ids.Name}' has shape [{string.Join(", ", ids.Shape)}], expected [windows, tokens]");
        return ids.ReadIdRows();
    }
}

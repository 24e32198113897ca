using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Training.Checking;

/// <summary>
/// What another implementation of training computes of a batch: <c>ids</c> [windows, n + 1], of which each predicts the next, or
/// transformers' <c>input_ids</c> [windows, n], of which the last predicts nothing; and any of <c>logits</c> [windows, n, vocabulary],
/// <c>cross_entropy</c>, <c>aux</c> or <c>aux_loss</c>, <c>loss</c>, <c>grad.NAME</c>, <c>adamw_losses</c> [steps], <c>adamw.NAME</c>.
/// </summary>
internal sealed class OracleFile : IDisposable
{
    /// <summary>What stands before a tensor's name: its gradient.</summary>
    public const string Gradient = "grad.";

    /// <summary>What stands before a tensor's name: its values after the steps.</summary>
    public const string Step = "adamw.";

    private readonly SafetensorsFile file;

    private OracleFile(SafetensorsFile file, ModelConfig config)
    {
        this.file = file;
        Batch = ReadBatch(config);
    }

    /// <summary>The windows.</summary>
    public WindowBatch Batch { get; }

    /// <summary>All tensors, by name.</summary>
    public IReadOnlyDictionary<string, TensorView> Tensors => file.Tensors;

    /// <summary>The file's path.</summary>
    public string Path => file.Path;

    /// <summary>Opens a file and reads its ids.</summary>
    /// <exception cref="ModelFormatException">It is damaged, or its ids are none of the model's.</exception>
    public static OracleFile Open(string path, ModelConfig config)
    {
        var file = SafetensorsFile.Open(path);
        try
        {
            return new OracleFile(file, config);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => file.Dispose();

    private WindowBatch ReadBatch(ModelConfig config)
    {
        bool shifted = Tensors.ContainsKey("ids");
        if (shifted == Tensors.ContainsKey("input_ids"))
            throw new ModelFormatException($"{Path}: it has {(shifted ? "both" : "neither")} 'ids' [windows, n + 1] {(shifted ? "and" : "nor")} 'input_ids' [windows, n], expected one of them");
        var tensor = file.Get(shifted ? "ids" : "input_ids");
        if (tensor.Shape is not [> 0, > 1])
            throw new ModelFormatException($"{Path}: {tensor.Name} has the shape {Shapes.Show([.. tensor.Shape])}, expected [windows, ids] with at least two ids, since each predicts the next");
        int[][] rows = tensor.ReadIdRows();
        if (rows.SelectMany(row => row).FirstOrDefault(id => id >= config.VocabSize, -1) is var beyond and >= 0)
            throw new ModelFormatException($"{Path}: {tensor.Name} holds {beyond}, expected ids below {config.VocabSize}, the model's vocabulary");
        int length = rows[0].Length - (shifted ? 1 : 0);
        if (length > config.MaxPositions)
            throw new ModelFormatException($"{Path}: {tensor.Name} has windows of {length} ids, expected at most {config.MaxPositions}, the model's context");
        return new WindowBatch(
            rows.Length, length, [.. rows.SelectMany(row => row[..length])], [.. rows.SelectMany(row => shifted ? row[1..] : [.. row[1..], -1])]);
    }
}

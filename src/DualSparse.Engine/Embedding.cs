using DualSparse.Models.Safetensors;

namespace DualSparse.Engine;

/// <summary>The beginning of the forward pass: a row of the checkpoint for each id, read from the mapped file.</summary>
/// <param name="rows">[vocabulary, hidden].</param>
internal sealed unsafe class Embedding(TensorView rows)
{
    private readonly int hidden = checked((int)rows.RowLength);

    /// <summary>Reads the rows of ids.</summary>
    /// <param name="ids">Inside the vocabulary.</param>
    /// <param name="x">[ids, hidden] f32, overwritten.</param>
    /// <exception cref="Models.ModelFormatException">The checkpoint file has been truncated.</exception>
    public void Read(ReadOnlySpan<int> ids, float* x)
    {
        rows.RequireWhole();
        foreach (int id in ids)
        {
            rows.ReadRow(id, new Span<float>(x, hidden));
            x += hidden;
        }
    }
}

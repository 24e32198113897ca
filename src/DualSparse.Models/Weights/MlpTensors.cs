namespace DualSparse.Models;

/// <summary>The weights of a gated MLP or expert: down(SiLU(gate·x) ⊙ up·x).</summary>
/// <param name="Gate">W1, [neurons, hidden].</param>
/// <param name="Up">W3, [neurons, hidden].</param>
/// <param name="Down">W2, [hidden, neurons].</param>
internal sealed record MlpTensors(WeightSlice Gate, WeightSlice Up, WeightSlice Down)
{
    /// <summary>Neurons.</summary>
    public int Neurons => Gate.Rows;

    /// <summary>Some of the neurons.</summary>
    public MlpTensors Range(int first, int count) => new(Gate.RowRange(first, count), Up.RowRange(first, count), Down.ColumnRange(first, count));

    /// <summary>All weights.</summary>
    public long Count => Gate.Count + Up.Count + Down.Count;
}

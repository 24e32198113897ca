using DualSparse.Models;

namespace DualSparse.Training;

/// <summary>A tensor of a checkpoint, and what is trained of it: one tensor as it is, or matrices that lie in it together.</summary>
/// <param name="Tensor">Name and shape in the checkpoint.</param>
/// <param name="Parts">What is trained, and where it lies.</param>
internal sealed record StoredTensor(TensorSpec Tensor, IReadOnlyList<(Parameter Parameter, WeightSlice Place)> Parts)
{
    /// <summary>Its values; they may be the set's own memory.</summary>
    /// <param name="set">Where the parts' values are.</param>
    public ReadOnlySpan<float> Values(ParameterSet set)
    {
        if (Parts is [var (whole, _)])
            return set.ValuesOf(whole);
        var values = new float[Tensor.Count];
        foreach (var (parameter, place) in Parts)
        {
            var from = set.ValuesOf(parameter);
            for (int r = 0, at = 0; r < place.Rows; r++)
            {
                for (int c = 0; c < place.Columns; c++)
                    values[place.First + r * place.RowStep + c * place.ColumnStep] = from[at++];
            }
        }

        return values;
    }
}

using System.Numerics.Tensors;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>A neuron's importance by its weights alone, for experts with few calibration tokens.</summary>
internal static class WeightNorms
{
    /// <summary>‖W1_n‖ · ‖W3_n‖ · ‖W2_n‖ of every neuron n: rows of gate and up, columns of down.</summary>
    public static double[] Of(Checkpoint checkpoint, MlpTensors expert)
    {
        double[] importance = RowNorms(checkpoint, expert.Gate);
        TensorPrimitives.Multiply(importance, RowNorms(checkpoint, expert.Up), importance);
        TensorPrimitives.Multiply(importance, Down(checkpoint, expert), importance);
        return importance;
    }

    /// <summary>‖W2_n‖₂ of every neuron n: the weight of its value in the output.</summary>
    public static double[] Down(Checkpoint checkpoint, MlpTensors expert) => ColumnNorms(checkpoint, expert.Down);

    private static double[] RowNorms(Checkpoint checkpoint, WeightSlice weights)
    {
        using var matrix = checkpoint.Get(weights);
        double[] norms = new double[matrix.Rows];
        float[] row = new float[matrix.Columns];
        for (int r = 0; r < norms.Length; r++)
        {
            matrix.ReadRow(r, row);
            norms[r] = TensorPrimitives.Norm(row);
        }

        return norms;
    }

    private static double[] ColumnNorms(Checkpoint checkpoint, WeightSlice weights)
    {
        using var matrix = checkpoint.Get(weights);
        double[] squares = new double[matrix.Columns];
        float[] row = new float[matrix.Columns];
        for (int r = 0; r < matrix.Rows; r++)
        {
            matrix.ReadRow(r, row);
            for (int c = 0; c < row.Length; c++)
                squares[c] += (double)row[c] * row[c];
        }

        TensorPrimitives.Sqrt(squares, squares);
        return squares;
    }
}

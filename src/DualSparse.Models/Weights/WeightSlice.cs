namespace DualSparse.Models;

/// <summary>
/// A matrix inside a tensor: its element [r, c] is the tensor's element <c>First + r · RowStep + c · ColumnStep</c>, counted row-major.
/// So a matrix with a tensor of its own, one of many in a tensor, a transposed one, and a part of any of them are read alike.
/// </summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="First">The element [0, 0].</param>
/// <param name="Rows">Outputs.</param>
/// <param name="Columns">Inputs.</param>
/// <param name="RowStep">Elements from a row to the next; 1 in a matrix that is stored transposed.</param>
/// <param name="ColumnStep">Elements from a column to the next; 1 in a matrix that is stored by rows.</param>
internal sealed record WeightSlice(TensorSpec Tensor, long First, int Rows, int Columns, long RowStep, long ColumnStep)
{
    /// <summary>All elements.</summary>
    public long Count => (long)Rows * Columns;

    /// <summary>Whether columns, not rows, lie side by side in the tensor.</summary>
    public bool IsTransposed => ColumnStep != 1;

    /// <summary>Elements of the tensor from the first to the last of the matrix, others between them included.</summary>
    public long Extent => (Rows - 1) * RowStep + (Columns - 1) * ColumnStep + 1;

    /// <summary>One of the matrices of a tensor [a, b] or [matrices, a, b].</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="index">Which of its matrices.</param>
    /// <param name="transposed">False: the matrix [a, b] as it is stored; true: its transpose [b, a].</param>
    public static WeightSlice Of(TensorSpec tensor, int index = 0, bool transposed = false)
    {
        int rows = checked((int)tensor.Shape[^2]), columns = checked((int)tensor.Shape[^1]);
        long first = (long)index * rows * columns;
        return transposed ? new(tensor, first, columns, rows, 1, columns) : new(tensor, first, rows, columns, columns, 1);
    }

    /// <summary>Rows <paramref name="first"/> to <paramref name="first"/> + <paramref name="count"/> − 1.</summary>
    public WeightSlice RowRange(int first, int count) => this with { First = First + first * RowStep, Rows = count };

    /// <summary>Columns <paramref name="first"/> to <paramref name="first"/> + <paramref name="count"/> − 1.</summary>
    public WeightSlice ColumnRange(int first, int count) => this with { First = First + first * ColumnStep, Columns = count };
}

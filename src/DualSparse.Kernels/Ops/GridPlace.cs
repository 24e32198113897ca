namespace DualSparse.Kernels.Ops;

/// <summary>What a pair of a head turns by.</summary>
internal enum GridAxis : byte
{
    /// <summary>Time, which is the place in a text.</summary>
    Time,

    /// <summary>The row in a picture.</summary>
    Row,

    /// <summary>The column in a picture.</summary>
    Column,
}

/// <summary>A token's place: in a picture three numbers, in a text three times the same.</summary>
/// <param name="Time">Time.</param>
/// <param name="Row">Row.</param>
/// <param name="Column">Column.</param>
internal readonly record struct GridPlace(int Time, int Row, int Column)
{
    /// <summary>Whether all are alike.</summary>
    public bool IsText => Time == Row && Time == Column;

    /// <summary>A place in a text.</summary>
    public static GridPlace OfText(int position) => new(position, position, position);

    /// <summary>One of the three.</summary>
    public int On(GridAxis axis) => axis switch { GridAxis.Row => Row, GridAxis.Column => Column, _ => Time };
}

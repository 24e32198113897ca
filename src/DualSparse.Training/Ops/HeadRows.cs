namespace DualSparse.Training.Ops;

/// <summary>f32 rows inside wider ones: that of token t and head h begins at first + t · token stride + h · head stride.</summary>
/// <param name="first">The row of the first token and head.</param>
/// <param name="tokenStride">Floats from one token to the next.</param>
/// <param name="headStride">Floats from one head of a token to the next; rows without heads have one.</param>
internal readonly unsafe struct HeadRows(float* first, nint tokenStride, nint headStride = 0)
{
    /// <summary>A row's first element.</summary>
    public float* At(int token, int head) => first + token * tokenStride + head * headStride;
}

namespace DualSparse.Kernels;

/// <summary>The format of a linear map's weights in memory. It is chosen at load, for all matrices alike.</summary>
public enum WeightFormat
{
    /// <summary>IEEE single precision: exact for every checkpoint that we read.</summary>
    F32,

    /// <summary>bfloat16, rounded to nearest even.</summary>
    Bf16,

    /// <summary>8-bit integers with one scale an output channel; activations become 8-bit integers with one scale a token.</summary>
    Int8,

    /// <summary>4-bit integers, symmetric, with one bfloat16 scale for each 32 inputs of an output channel; activations as for <see cref="Int8"/>.</summary>
    Int4,
}

/// <summary>The format of the rows that a kernel multiplies.</summary>
internal enum ActivationFormat
{
    /// <summary>Single precision, not converted.</summary>
    F32,

    /// <summary>bfloat16, rounded to nearest even.</summary>
    Bf16,

    /// <summary>Signed bytes in −127…127, one scale a row.</summary>
    Int8,

    /// <summary>The values of <see cref="Int8"/>, each widened to 16 bits, for instruction sets that multiply pairs of 16-bit integers.</summary>
    Int16,
}

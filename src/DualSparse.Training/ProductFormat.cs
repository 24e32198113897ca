namespace DualSparse.Training;

/// <summary>In what a training run computes its products; everything else is f32.</summary>
internal enum ProductFormat
{
    /// <summary>bf16 where this machine multiplies it faster than f32 (AMX, AVX512-BF16), else f32.</summary>
    Fastest,

    /// <summary>f32.</summary>
    F32,

    /// <summary>Operands rounded to bf16, sums in f32.</summary>
    Bf16,
}

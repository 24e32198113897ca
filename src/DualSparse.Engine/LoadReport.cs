using DualSparse.Kernels;

namespace DualSparse.Engine;

/// <summary>The progress of loading.</summary>
/// <param name="DoneBytes">Bytes of the checkpoint that are packed.</param>
/// <param name="TotalBytes">Bytes of the checkpoint.</param>
public readonly record struct LoadProgress(long DoneBytes, long TotalBytes);

/// <summary>The time and memory that loading took.</summary>
/// <param name="Seconds">Wall-clock time.</param>
/// <param name="CheckpointBytes">Bytes of the tensors read.</param>
/// <param name="WeightBytes">Bytes of the packed weights.</param>
/// <param name="Weights">The format of the weights.</param>
/// <param name="Kernel">The name of the kernel that multiplies them.</param>
/// <param name="Threads">Threads in the team.</param>
public sealed record LoadReport(
    double Seconds, long CheckpointBytes, long WeightBytes, WeightFormat Weights, string Kernel, int Threads);

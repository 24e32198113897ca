using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe;

/// <summary>Rows that this process computes at a time.</summary>
/// <param name="Batch">Rows by expert.</param>
/// <param name="Rows">[<paramref name="Count"/>, D], as the experts' kernel reads them.</param>
/// <param name="Count">Rows.</param>
/// <param name="Experts">The experts: the layer's, or a lower precision's.</param>
/// <param name="Sums">Receives [rows, D] f32: for each row the weighted sum of its experts here.</param>
/// <param name="GoesOn">Whether <paramref name="Sums"/> hold those of the same rows' experts before these, and go on.</param>
internal readonly record struct ExpertShare(ExpertBatch Batch, ActivationRows Rows, int Count, PackedExperts Experts, ScratchBuffer Sums, bool GoesOn = false);

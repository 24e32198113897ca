namespace DualSparse.Kernels.Jit;

/// <summary>Thrown where a kernel can't run although the processor has its instructions; the message is one clause that says why.</summary>
internal sealed class KernelRefusedException(string message) : Exception(message);

namespace DualSparse.Kernels.Jit;

/// <summary>A kernel that can't serve on this machine although its processor has the instructions; the message is one clause that says why.</summary>
internal sealed class KernelRefusedException(string message) : Exception(message);

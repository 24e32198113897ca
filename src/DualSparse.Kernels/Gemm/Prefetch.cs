using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// Asks for weights before they are needed. With few rows a kernel goes at the pace of memory, and the processor's own prefetchers,
/// which stop at each page, leave a seventh of it unused.
/// </summary>
internal static unsafe class Prefetch
{
    // By measurement: 1 to 2 KiB are best, a distance of 512 or 4096 bytes loses half of the gain.
    private const int Distance = 1024;
    private const int LineBytes = 64;

    /// <summary>The two cache lines of a later step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step(void* step)
    {
        if (!Sse.IsSupported)
            return;
        Sse.Prefetch0((byte*)step + Distance);
        Sse.Prefetch0((byte*)step + Distance + LineBytes);
    }

    /// <summary>One cache line of a later step: int4's scales, which stand before each group's four steps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* line)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(line + Distance);
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// Prefetches weights. With few rows a kernel is bound by memory, and the processor's own prefetchers, which stop at each page, leave a
/// seventh of the bandwidth unused.
/// </summary>
internal static unsafe class Prefetch
{
    // As measured, 1 to 2 KiB are best; 512 or 4096 bytes lose half of the gain.
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

    /// <summary>One cache line of a later step: int4's scales, which precede each group's four steps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* line)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(line + Distance);
    }
}

/// <summary>
/// A tile's share of the next panel: with several rows the kernel is bound by arithmetic and memory would idle. Each step of the tile
/// prefetches a part of <see cref="PanelArgs.Next"/> into the second-level cache, so that all tiles together fetch it once.
/// </summary>
internal unsafe struct NextPanel
{
    private byte* line;
    private readonly nint pace;

    /// <summary>The share of tile <paramref name="tile"/> of <paramref name="tiles"/>.</summary>
    /// <param name="args">What the kernel was given; without a next panel one line of the current one is requested each time.</param>
    /// <param name="tile">From 0.</param>
    /// <param name="tiles">Tiles of the whole call.</param>
    /// <param name="steps">Steps of a tile.</param>
    /// <param name="stepBytes">Bytes of the panel in a step.</param>
    public NextPanel(in PanelArgs args, nint tile, nint tiles, nint steps, nint stepBytes)
    {
        pace = args.Next is null ? 0 : Math.Max(1, stepBytes / tiles);
        line = args.Next is null ? args.Panel : args.Next + Math.Min(tile * pace, stepBytes - pace) * steps;
    }

    /// <summary>Prefetches the next part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Step()
    {
        if (!Sse.IsSupported)
            return;
        Sse.Prefetch1(line);
        line += pace;
    }
}

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

/// <summary>
/// A tile's share of the panel that follows: while some rows are multiplied, arithmetic sets the pace and memory would idle. Each step of
/// the tile asks for a little of <see cref="PanelArgs.Next"/>, so that all tiles together have asked for it once, into the second level.
/// </summary>
internal unsafe struct NextPanel
{
    private byte* line;
    private readonly nint pace;

    /// <summary>The share of tile <paramref name="tile"/> of <paramref name="tiles"/>.</summary>
    /// <param name="args">What the kernel was given; without a next panel one line at hand is asked for again and again.</param>
    /// <param name="tile">From 0.</param>
    /// <param name="tiles">Tiles of the whole call.</param>
    /// <param name="steps">Steps of a tile.</param>
    /// <param name="stepBytes">Bytes of the panel in a step.</param>
    public NextPanel(in PanelArgs args, nint tile, nint tiles, nint steps, nint stepBytes)
    {
        pace = args.Next is null ? 0 : Math.Max(1, stepBytes / tiles);
        line = args.Next is null ? args.Panel : args.Next + Math.Min(tile * pace, stepBytes - pace) * steps;
    }

    /// <summary>Asks for the next bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Step()
    {
        if (!Sse.IsSupported)
            return;
        Sse.Prefetch1(line);
        line += pace;
    }
}

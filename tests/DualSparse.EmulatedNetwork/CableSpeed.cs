using System.Diagnostics;

namespace DualSparse.EmulatedNetwork;

/// <summary>What all cables of a switch are like, in ticks of <see cref="Stopwatch"/>.</summary>
/// <param name="MegabitsPerSecond">Each way; 0: no limit.</param>
/// <param name="DelayMicroseconds">From one cable's end to another's.</param>
/// <param name="QueueBytes">What may wait for a cable; more is lost.</param>
internal sealed record CableSpeed(double MegabitsPerSecond, double DelayMicroseconds, int QueueBytes)
{
    // What a frame takes on a cable beside its bytes: preamble 8, check sum 4, gap 12.
    private const int FrameOverhead = 24;

    /// <summary>Ticks from one cable's end to another's.</summary>
    public long Delay { get; } = (long)(DelayMicroseconds * Stopwatch.Frequency / 1e6);

    /// <summary>The bytes that a cable carries for what the kernel hands over at once.</summary>
    /// <param name="length">Its bytes, headers once.</param>
    /// <param name="header">Bytes of its headers, which each segment repeats.</param>
    /// <param name="segment">Bytes of a segment's content; 0: it is one frame.</param>
    public static int OnCable(int length, int header, int segment)
    {
        int frames = segment > 0 ? Math.Max(1, (length - header + segment - 1) / segment) : 1;
        return length + ((frames - 1) * header) + (frames * FrameOverhead);
    }

    /// <summary>Ticks that a cable is busy with so many bytes.</summary>
    public long Busy(int bytes) => MegabitsPerSecond > 0 ? (long)(bytes * 8 / (MegabitsPerSecond * 1e6) * Stopwatch.Frequency) : 0;
}

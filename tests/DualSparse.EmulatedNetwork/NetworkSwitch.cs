using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace DualSparse.EmulatedNetwork;

/// <summary>
/// Joins hosts by cables of one rate and delay: what the kernel's netem would do where a kernel has it. A frame leaves when its sender's way up and its
/// receiver's way down are both free, keeps both busy for its bytes, and arrives a delay later.
/// </summary>
internal sealed unsafe partial class NetworkSwitch : IDisposable
{
    // One host may not keep the others waiting for longer than it takes to read so many.
    private const int Burst = 16;

    // Frames due within a grain go together: each wake-up less leaves the cores to those who compute.
    private const double GrainMicroseconds = 40;

    // How late SIGTERM may be seen.
    private const long LongestWaitNanoseconds = 50_000_000;

    private readonly CableSpeed speed;
    private readonly Cable[] cables;
    private readonly Dictionary<ulong, Cable> learned = [];
    private readonly Stack<byte[]> free = new();
    private readonly long grain;

    /// <summary>Creates the devices.</summary>
    /// <exception cref="IOException">The system doesn't allow it.</exception>
    public NetworkSwitch(CableSpeed speed, IReadOnlyList<string> devices)
    {
        this.speed = speed;
        cables = [.. devices.Select(name => new Cable(new TapDevice(name)))];
        grain = (long)(GrainMicroseconds * Stopwatch.Frequency / 1e6);
        if (speed.Delay > 0)
            grain = Math.Min(grain, speed.Delay / 5);
        // Timers as exact as they go: the default is 50 µs late.
        const int SetTimerSlack = 29;
        _ = ProcessControl(SetTimerSlack, 1, 0, 0, 0);
    }

    /// <summary>Forwards until SIGTERM.</summary>
    /// <returns>What it carried, and the CPU time that took.</returns>
    public string Run()
    {
        bool stop = false;
        using var end = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            Volatile.Write(ref stop, true);
        });
        var (cpu, started) = (Environment.CpuUsage.TotalTime, Stopwatch.GetTimestamp());
        while (!Volatile.Read(ref stop))
        {
            bool moved = false;
            foreach (var cable in cables)
                moved |= TakeFrom(cable);
            foreach (var cable in cables)
                moved |= cable.Deliver(Stopwatch.GetTimestamp() + grain, free);
            if (!moved)
                Sleep();
        }

        return string.Create(CultureInfo.InvariantCulture, $"switch: {(Environment.CpuUsage.TotalTime - cpu).TotalSeconds:F2} s of CPU in {Stopwatch.GetElapsedTime(started).TotalSeconds:F2} s, {cables.Sum(c => c.Bytes)} bytes carried, {cables.Sum(c => c.Lost)} frames lost");
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(cables, cable => cable.Dispose());

    private bool TakeFrom(Cable from)
    {
        for (int taken = 0; taken < Burst; taken++)
        {
            byte[] frame = Rent();
            int length = from.Device.Read(frame);
            if (length <= TapDevice.VirtioHeader)
            {
                free.Push(frame);
                return taken > 0;
            }

            Forward(from, frame, length);
        }

        return true;
    }

    private void Forward(Cable from, byte[] frame, int length)
    {
        var (to, source) = TapDevice.Addresses(frame);
        learned[source] = from;
        int onCable = TapDevice.OnCable(frame.AsSpan(0, length));
        if (!TapDevice.IsBroadcast(to) && learned.TryGetValue(to, out var only))
        {
            Forward(from, only, frame, length, onCable);
            return;
        }

        foreach (var cable in cables.Where(c => c != from))
        {
            byte[] copy = Rent();
            frame.AsSpan(0, length).CopyTo(copy);
            Forward(from, cable, copy, length, onCable);
        }

        free.Push(frame);
    }

    private void Forward(Cable from, Cable to, byte[] frame, int length, int onCable)
    {
        long leaves = Math.Max(Stopwatch.GetTimestamp(), Math.Max(from.UpFree, to.DownFree)) + speed.Busy(onCable);
        if (to.Enqueue(frame, length, onCable, leaves + speed.Delay, speed.QueueBytes))
            from.UpFree = to.DownFree = leaves;
        else
            free.Push(frame);
    }

    private byte[] Rent() => free.TryPop(out byte[]? used) ? used : GC.AllocateUninitializedArray<byte>(TapDevice.MaxBytes);

    private void Sleep()
    {
        long wait = LongestWaitNanoseconds;
        foreach (var cable in cables)
        {
            if (cable.NextDue is { } due)
                wait = Math.Min(wait, (long)((due - Stopwatch.GetTimestamp()) * (1e9 / Stopwatch.Frequency)));
        }

        if (wait <= 0)
            return;
        const short Readable = 1; // POLLIN
        var polled = stackalloc Polled[cables.Length];
        for (int i = 0; i < cables.Length; i++)
            polled[i] = new Polled(cables[i].Device.Descriptor, Readable, 0);
        long* limit = stackalloc long[] { 0, wait };
        _ = Poll(polled, (nuint)cables.Length, limit, null);
    }

    [LibraryImport("libc", EntryPoint = "ppoll")]
    private static partial int Poll(Polled* descriptors, nuint count, long* limit, void* mask);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ProcessControl(int option, nuint second, nuint third, nuint fourth, nuint fifth);

    // struct pollfd
    private readonly record struct Polled(int Descriptor, short Events, short Returned);
}

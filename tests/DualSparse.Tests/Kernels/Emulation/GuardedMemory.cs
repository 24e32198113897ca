using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>The memory that code under test may touch: registered blocks, nothing else.</summary>
internal sealed unsafe class GuardedMemory
{
    // By start; blocks don't overlap.
    private readonly SortedList<ulong, Block> blocks = [];

    /// <summary>Lets code read <paramref name="bytes"/> bytes from <paramref name="start"/> on, and write them where <paramref name="writable"/>.</summary>
    public void Allow(string name, void* start, nint bytes, bool writable = false) =>
        blocks.Add((ulong)start, new Block(name, (ulong)start, (ulong)start + (ulong)bytes, writable));

    /// <summary>Bytes that may be prefetched though not read, and their lines that were.</summary>
    public (ulong Start, ulong End) Prefetchable { get; set; }

    /// <summary>Addresses within <see cref="Prefetchable"/> that were asked for.</summary>
    public HashSet<ulong> Prefetched { get; } = [];

    /// <summary>A prefetch never faults, but it costs bandwidth: it must not ask for what nobody will read.</summary>
    public void Prefetch(ulong address, in Instruction instruction)
    {
        if (address >= Prefetchable.Start && address < Prefetchable.End)
            Prefetched.Add(address);
        else
            Access(address, 1, write: false, instruction);
    }

    /// <summary>The bytes to read at an address.</summary>
    public ReadOnlySpan<byte> Read(ulong address, int bytes, in Instruction instruction) => Access(address, bytes, write: false, in instruction);

    /// <summary>The bytes to write at an address.</summary>
    public Span<byte> Write(ulong address, int bytes, in Instruction instruction) => Access(address, bytes, write: true, in instruction);

    private Span<byte> Access(ulong address, int bytes, bool write, in Instruction instruction)
    {
        int index = LastAtOrBefore(address);
        if (index < 0 || !blocks.GetValueAtIndex(index).Holds(address, bytes, write))
            Assert.Fail($"{instruction}: {(write ? "writes" : "reads")} {bytes} bytes at {Describe(address)}");
        return new Span<byte>((void*)address, bytes);
    }

    private int LastAtOrBefore(ulong address)
    {
        int low = 0, high = blocks.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (blocks.GetKeyAtIndex(middle) <= address)
                low = middle + 1;
            else
                high = middle;
        }

        return low - 1;
    }

    private string Describe(ulong address)
    {
        var nearest = blocks.Values.MinBy(b => Math.Min(Distance(address, b.Start), Distance(address, b.End)));
        return $"{address:x}, {(long)(address - nearest.Start)} bytes from the start of the {nearest.End - nearest.Start} bytes of {nearest.Name}";
    }

    private static ulong Distance(ulong a, ulong b) => Math.Max(a, b) - Math.Min(a, b);

    private readonly record struct Block(string Name, ulong Start, ulong End, bool Writable)
    {
        public bool Holds(ulong address, int bytes, bool write) => address >= Start && address + (ulong)bytes <= End && (Writable || !write);
    }
}

using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace DualSparse.EmulatedNetwork;

/// <summary>
/// A network device of Linux whose other end is this process. Frames keep their virtio header: the kernel then hands over up to 64 KiB at a time and
/// computes no check sum for a cable that loses nothing.
/// </summary>
internal sealed unsafe partial class TapDevice : IDisposable
{
    /// <summary>Bytes before a frame: struct virtio_net_hdr (flags, kind, header length, segment size, check sum's start and offset).</summary>
    public const int VirtioHeader = 10;

    /// <summary>The most that one read gives.</summary>
    public const int MaxBytes = VirtioHeader + (65 << 10);

    private const int ReadWrite = 2, NonBlocking = 0x800;
    private const nuint SetInterface = 0x400454ca, SetOffload = 0x400454d0; // TUNSETIFF, TUNSETOFFLOAD
    private const short Tap = 0x0002, NoInfo = 0x1000, WithVirtioHeader = 0x4000; // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
    private const int CheckSums = 1, SegmentsV4 = 2, SegmentsV6 = 4; // TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6
    private const int NameBytes = 16, RequestBytes = 40; // IFNAMSIZ, struct ifreq

    /// <summary>Creates it.</summary>
    /// <exception cref="IOException">The system doesn't allow it.</exception>
    public TapDevice(string name)
    {
        Descriptor = Open("/dev/net/tun", ReadWrite | NonBlocking);
        if (Descriptor < 0)
            throw new IOException($"/dev/net/tun can't be opened: {Marshal.GetLastPInvokeErrorMessage()}");
        byte* request = stackalloc byte[RequestBytes];
        new Span<byte>(request, RequestBytes).Clear();
        Encoding.ASCII.GetBytes(name, new Span<byte>(request, NameBytes - 1));
        *(short*)(request + NameBytes) = Tap | NoInfo | WithVirtioHeader;
        if (Control(Descriptor, SetInterface, request) < 0 || Control(Descriptor, SetOffload, (void*)(CheckSums | SegmentsV4 | SegmentsV6)) < 0)
            throw new IOException($"the TAP device {name} can't be made: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>Its file descriptor.</summary>
    public int Descriptor { get; }

    /// <summary>Reads what the host has sent, if anything.</summary>
    /// <param name="frame">Receives virtio header and frame.</param>
    /// <returns>Bytes; 0: nothing was there.</returns>
    public int Read(Span<byte> frame)
    {
        fixed (byte* first = frame)
            return (int)Math.Max(0, Read(Descriptor, first, frame.Length));
    }

    /// <summary>Hands a frame to the host.</summary>
    /// <returns>Whether it took it.</returns>
    public bool Write(ReadOnlySpan<byte> frame)
    {
        fixed (byte* first = frame)
            return Write(Descriptor, first, frame.Length) >= 0;
    }

    /// <summary>Where a frame goes, and whence it comes: the addresses at its beginning.</summary>
    public static (ulong To, ulong From) Addresses(ReadOnlySpan<byte> frame)
    {
        const ulong Six = 0xffff_ffff_ffff;
        var ethernet = frame[VirtioHeader..];
        return (BinaryPrimitives.ReadUInt64LittleEndian(ethernet) & Six, BinaryPrimitives.ReadUInt64LittleEndian(ethernet[6..]) & Six);
    }

    /// <summary>Bytes on the cable, where the kernel's large frame is cut into segments.</summary>
    public static int OnCable(ReadOnlySpan<byte> frame)
    {
        bool segmented = frame[1] != 0;
        int header = BinaryPrimitives.ReadUInt16LittleEndian(frame[2..]), segment = BinaryPrimitives.ReadUInt16LittleEndian(frame[4..]);
        return CableSpeed.OnCable(frame.Length - VirtioHeader, header, segmented ? segment : 0);
    }

    /// <summary>Whether an address is of many.</summary>
    public static bool IsBroadcast(ulong address) => (address & 1) != 0;

    /// <inheritdoc/>
    public void Dispose() => Close(Descriptor);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, byte* bytes, nint count);
}

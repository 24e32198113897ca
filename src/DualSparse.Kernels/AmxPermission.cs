using System.Runtime.InteropServices;

namespace DualSparse.Kernels;

/// <summary>
/// Linux grants the AMX tile registers to a process that asks (arch_prctl ARCH_REQ_XCOMP_PERM, component 18); elsewhere, and in
/// containers whose seccomp filter refuses the call, they stay off.
/// </summary>
internal static partial class AmxPermission
{
    private const long ArchPrctl = 158;
    private const long RequestComponentPermission = 0x1023;
    private const long TileData = 18;

    /// <summary>Requests the tiles; once per process is enough. Returns null when granted, otherwise the reason.</summary>
    public static string? Request()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            return "AMX needs 64-bit Linux";
        try
        {
            return SystemCall(ArchPrctl, RequestComponentPermission, TileData) == 0
                ? null
                : $"the kernel refused the tile registers (error {Marshal.GetLastPInvokeError()})";
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return "the C library offers no syscall()";
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long first, long second);
}

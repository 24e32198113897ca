using System.Runtime.InteropServices;

namespace DualSparse.Distributed.Mpi;

/// <summary>What .NET has no way to do without the C library.</summary>
internal static partial class CLibrary
{
    // RTLD_NOW | RTLD_GLOBAL: plugins of an Open MPI that aren't linked to libmpi look its symbols up in the global scope. Linux's values.
    private const int NowGlobal = 2 | 0x100;

    /// <summary>Loads a library; zero where there is none, or it can't be loaded.</summary>
    public static nint Open(string name) => OperatingSystem.IsLinux() ? DlOpen(name, NowGlobal) : NativeLibrary.TryLoad(name, out nint handle) ? handle : 0;

    /// <summary>Sets a variable that the C library sees, unless it is set: <see cref="Environment.SetEnvironmentVariable(string, string?)"/> reaches only .NET.</summary>
    public static void SetVariable(string name, string value)
    {
        if (!OperatingSystem.IsWindows())
            _ = SetEnv(name, value, 0);
    }

    /// <summary>Ends the process at once; nothing that might wait is asked.</summary>
    public static void Exit(int code)
    {
        if (OperatingSystem.IsWindows())
            Environment.Exit(code);
        QuickExit(code);
    }

    /// <summary>Sleeps for less than <see cref="Thread.Sleep(int)"/> can.</summary>
    public static void Sleep(uint microseconds)
    {
        if (OperatingSystem.IsWindows())
            Thread.Sleep(1);
        else
            _ = MicroSleep(microseconds);
    }

    /// <summary>Sends SIGTERM; nothing where the system has none.</summary>
    public static void AskToEnd(int process)
    {
        const int Terminate = 15;
        if (!OperatingSystem.IsWindows())
            _ = Signal(process, Terminate);
    }

    /// <summary>
    /// Waits until whoever reads this process's standard error has read all of it, a second at most: MPICH's launcher forgets what it hasn't read of a
    /// process that asks it to end all.
    /// </summary>
    public static unsafe void AwaitErrorsRead()
    {
        const int StandardError = 2;
        const nuint Unread = 0x541b; // FIONREAD
        int bytes = 0;
        for (int i = 0; i < 1000 && OperatingSystem.IsLinux() && Control(StandardError, Unread, &bytes) == 0 && bytes > 0; i++)
            Thread.Sleep(1);
    }

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static unsafe partial int Control(int descriptor, nuint request, int* value);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int MicroSleep(uint microseconds);

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint DlOpen(string name, int flags);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void QuickExit(int code);
}

using System.Text;
using Microsoft.Win32.SafeHandles;

namespace DualSparse.Cli.Hosting;

/// <summary>Standard output for text that comes bit by bit.</summary>
internal static class StandardOutput
{
    private const int Descriptor = 1;

    // EPIPE, on Linux and macOS alike.
    private const int BrokenPipe = 32;

    /// <summary>Writes UTF-8 at once.</summary>
    /// <remarks>
    /// Where it goes to a program that has ended, a write throws what <see cref="ReaderGone"/> knows. .NET's own stream passes over that, and
    /// <c>generate … | head</c> would go on for nobody, as it still does on Windows.
    /// </remarks>
    public static StreamWriter Open() => new(Pipe() ?? Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true };

    /// <summary>True of a failed write whose reader has gone.</summary>
    public static bool ReaderGone(IOException e) => !OperatingSystem.IsWindows() && e.HResult == BrokenPipe;

    // Of a file this stream would keep a position of its own, which others that write to it don't follow.
    private static FileStream? Pipe()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
            return null;
        var stream = new FileStream(new SafeFileHandle(Descriptor, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        return stream.CanSeek ? null : stream;
    }
}

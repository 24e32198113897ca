using System.Runtime.InteropServices;
using System.Text;

namespace DualSparse.Cli.Hosting;

/// <summary>Standard output for text that comes bit by bit.</summary>
internal static partial class StandardOutput
{
    // Of poll.h, on Linux and macOS alike.
    private const short Error = 8, HungUp = 16;
    private const int Descriptor = 1;

    /// <summary>Writes UTF-8 at once to a command's output.</summary>
    public static TextWriter Open(TextWriter output) =>
        output == Console.Out ? new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true } : output;

    /// <summary>
    /// True where a command's output is a pipe whose reader has ended: .NET passes over the failed write, and <c>generate … | head</c> would go on
    /// for nobody, as it still does on Windows.
    /// </summary>
    public static bool ReaderGone(TextWriter output)
    {
        if (OperatingSystem.IsWindows() || output != Console.Out || !Console.IsOutputRedirected)
            return false;
        var asked = new Asked { Descriptor = Descriptor };
        return Poll(ref asked, 1, 0) > 0 && (asked.Found & (Error | HungUp)) != 0;
    }

    // struct pollfd
    private struct Asked
    {
        public int Descriptor;
        public short For;
        public short Found;
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref Asked asked, nuint count, int milliseconds);
}

using System.Text;

namespace DualSparse.Cli.Hosting;

/// <summary>Standard error: where it can't be written to, what is said there is lost, and the work goes on.</summary>
internal sealed class SideWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    /// <summary>Where it writes.</summary>
    public TextWriter Inner => inner;

    public override void Write(char value) => Try(() => inner.Write(value));

    public override void Write(string? value) => Try(() => inner.Write(value));

    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    public override void Flush() => Try(inner.Flush);

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full disk, or nobody there: the exit code still says how it went.
        }
    }
}

using System.Text;

namespace DualSparse.Distributed;

/// <summary>Passes bytes on as they come, up to one of some marks and no further. What may be a mark's beginning is held back until it is told.</summary>
internal sealed class OutputRelay(Stream to, IReadOnlyList<string> marks)
{
    private readonly byte[][] marks = [.. marks.Select(Encoding.ASCII.GetBytes)];
    private readonly StringBuilder rest = new();
    private byte[] held = [];
    private bool over;

    /// <summary>What has come from the mark on.</summary>
    public string Rest => rest.ToString();

    /// <summary>Passes on what is before the mark.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (over)
        {
            rest.Append(Encoding.UTF8.GetString(bytes));
            return;
        }

        byte[] all = [.. held, .. bytes];
        int end = marks.Length == 0 ? all.Length : marks.Min(mark => End(all, mark));
        over = marks.Any(mark => all.AsSpan(end).StartsWith(mark));
        held = over ? [] : all[end..];
        rest.Append(over ? Encoding.UTF8.GetString(all, end, all.Length - end) : "");
        to.Write(all, 0, end);
        to.Flush();
    }

    /// <summary>Passes on what was held back.</summary>
    public void Finish()
    {
        to.Write(held);
        to.Flush();
    }

    // Where the mark begins, or may.
    private static int End(ReadOnlySpan<byte> bytes, byte[] mark)
    {
        if (bytes.IndexOf(mark) is var at and >= 0)
            return at;
        int length = Math.Min(mark.Length - 1, bytes.Length);
        while (length > 0 && !bytes.EndsWith(mark.AsSpan(0, length)))
            length--;
        return bytes.Length - length;
    }
}

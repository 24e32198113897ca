using System.Text;

namespace DualSparse.Distributed;

/// <summary>Passes bytes on as they come, up to a mark and no further. What may be the mark's beginning is held back until it is told.</summary>
internal sealed class OutputRelay(Stream to, string? mark)
{
    private readonly byte[] mark = Encoding.ASCII.GetBytes(mark ?? "");
    private byte[] held = [];
    private bool over;

    /// <summary>Passes on what is before the mark.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (over)
            return;
        byte[] all = [.. held, .. bytes];
        int at = mark.Length == 0 ? -1 : all.AsSpan().IndexOf(mark);
        over = at >= 0;
        int end = over ? at : all.Length - Beginning(all);
        held = over ? [] : all[end..];
        to.Write(all, 0, end);
        to.Flush();
    }

    /// <summary>Passes on what was held back.</summary>
    public void Finish()
    {
        to.Write(held);
        to.Flush();
    }

    // How much of the mark's beginning the bytes end with.
    private int Beginning(ReadOnlySpan<byte> bytes)
    {
        for (int length = Math.Min(mark.Length - 1, bytes.Length); length > 0; length--)
        {
            if (bytes.EndsWith(mark.AsSpan(0, length)))
                return length;
        }

        return 0;
    }
}

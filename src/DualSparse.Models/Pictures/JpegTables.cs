namespace DualSparse.Models.Pictures;

/// <summary>
/// Whether a JPEG file's Huffman tables are ones: each has at least one code, and no more of a length than the shorter ones leave room for. The
/// decoder takes seconds for an empty one.
/// </summary>
internal static class JpegTables
{
    private const int Lengths = 16, MostCodes = 256;

    /// <summary>Checks a segment that defines tables.</summary>
    /// <param name="content">For each its number, 16 counts of codes by length, and the codes' values.</param>
    public static bool AreSound(ReadOnlySpan<byte> content)
    {
        while (!content.IsEmpty)
        {
            if (content.Length < 1 + Lengths)
                return false;
            // In codes of the greatest length: each takes twice the room of one that is longer by a bit.
            int codes = 0, room = 1 << Lengths;
            for (int length = 1; length <= Lengths; length++)
            {
                codes += content[length];
                room -= content[length] << (Lengths - length);
            }

            if (codes is 0 or > MostCodes || room < 0 || content.Length < 1 + Lengths + codes)
                return false;
            content = content[(1 + Lengths + codes)..];
        }

        return true;
    }
}

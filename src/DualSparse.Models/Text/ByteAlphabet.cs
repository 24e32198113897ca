namespace DualSparse.Models.Text;

/// <summary>
/// The 256 printable characters that byte-level vocabularies write for bytes (GPT-2): a printable Latin-1 byte stands for itself,
/// the other 68 are U+0100, U+0101, … in order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = BuildToChar();
    private static readonly short[] Values = BuildToByte();

    /// <summary>The character that stands for <paramref name="value"/>.</summary>
    public static char ToChar(byte value) => Characters[value];

    /// <summary>The bytes that <paramref name="token"/> stands for; its own UTF-8 where a character is outside the alphabet.</summary>
    public static byte[] ToBytes(string token)
    {
        byte[] bytes = new byte[token.Length];
        for (int i = 0; i < token.Length; i++)
        {
            int value = token[i] < Values.Length ? Values[token[i]] : -1;
            if (value < 0)
            {
                return System.Text.Encoding.UTF8.GetBytes(token);
            }

            bytes[i] = (byte)value;
        }

        return bytes;
    }

    private static char[] BuildToChar()
    {
        char[] map = new char[256];
        char next = (char)256;
        for (int value = 0; value < 256; value++)
        {
            bool printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            map[value] = printable ? (char)value : next++;
        }

        return map;
    }

    private static short[] BuildToByte()
    {
        short[] map = new short[256 + 68];
        Array.Fill(map, (short)-1);
        for (int value = 0; value < 256; value++)
        {
            map[Characters[value]] = (short)value;
        }

        return map;
    }
}

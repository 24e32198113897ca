using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>The escapes in a template's quoted strings: Python's.</summary>
internal static class StringEscape
{
    /// <summary>Reads the escape at <paramref name="start"/>, a backslash with a character behind it.</summary>
    /// <returns>How many characters it has.</returns>
    public static int Read(string source, int start, StringBuilder text)
    {
        char kind = source[start + 1];
        int digits = kind switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0)
        {
            if (start + 2 + digits > source.Length
                || !int.TryParse(source.AsSpan(start + 2, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code) || code is < 0 or > 0x10FFFF)
                throw new TemplateError($"'\\{kind}' in a string needs {digits} hexadecimal digits of a character") { Position = start };
            text.Append(code > 0xFFFF ? char.ConvertFromUtf32(code) : ((char)code).ToString());
            return 2 + digits;
        }

        if (kind is >= '0' and <= '7')
        {
            int length = 1, value = 0;
            while (length <= 3 && start + length < source.Length && source[start + length] is >= '0' and <= '7')
                value = (value * 8) + source[start + length++] - '0';
            text.Append((char)value);
            return length;
        }

        if (kind == 'N')
            throw new TemplateError("'\\N' in a string isn't supported: write the character itself") { Position = start };
        if (kind != '\n')
        {
            _ = kind switch
            {
                'n' => text.Append('\n'),
                't' => text.Append('\t'),
                'r' => text.Append('\r'),
                'a' => text.Append('\a'),
                'b' => text.Append('\b'),
                'f' => text.Append('\f'),
                'v' => text.Append('\v'),
                '\\' or '\'' or '"' => text.Append(kind),
                // What is no escape stays as it is.
                _ => text.Append('\\').Append(kind),
            };
        }

        return 2;
    }
}

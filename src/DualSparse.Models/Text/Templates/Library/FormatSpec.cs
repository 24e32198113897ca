using System.Globalization;
using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>How a value is laid out by Python's <c>%</c> and <c>format</c>.</summary>
internal sealed record FormatSpec
{
    /// <summary>What fills the width.</summary>
    public string Fill { get; init; } = " ";

    /// <summary>Where the value stands in it: &lt;, &gt;, ^ or = (behind the sign); zero: by the value.</summary>
    public char Align { get; init; }

    /// <summary>+ or a blank before numbers that aren't negative; zero: nothing.</summary>
    public char Sign { get; init; }

    /// <summary>Whether zeros fill the width, behind the sign.</summary>
    public bool Zero { get; init; }

    /// <summary>With 0x or the like before it.</summary>
    public bool Alternate { get; init; }

    /// <summary>The least width, in characters.</summary>
    public int Width { get; init; }

    /// <summary>What stands between thousands; zero: nothing.</summary>
    public char Thousands { get; init; }

    /// <summary>Digits behind the point, or the most characters of a string.</summary>
    public int? Precision { get; init; }

    /// <summary>Writes a string.</summary>
    public void Write(MarkedTextBuilder builder, MarkedText text, char align = '>')
    {
        long pad = Math.Max(0, Width - text.Count);
        char where = Align == 0 ? align : Align;
        long left = where switch { '<' => 0, '^' => pad / 2, _ => pad };
        Pad(builder, left);
        builder.Append(text);
        Pad(builder, pad - left);
    }

    /// <summary>Writes a number: d, x, o, b, e, f, g, %.</summary>
    public void WriteNumber(MarkedTextBuilder builder, char kind, object value)
    {
        bool negative = value is double number ? double.IsNegative(number) && !double.IsNaN(number) : Numbers.Whole(value).Sign < 0;
        string digits = char.ToLowerInvariant(kind) is 'e' or 'f' or 'g' or '%' ? Floating(kind, Math.Abs(Numbers.Float(value))) : Whole(kind, value);
        string sign = negative ? "-" : Sign == 0 ? "" : Sign.ToString();
        if (Thousands != 0)
            digits = Grouped(digits);
        if ((Zero && Align == 0) || Align == '=')
        {
            builder.Append(sign);
            long pad = Width - sign.Length - digits.Length;
            if (Zero)
                builder.Append('0', pad);
            else
                Pad(builder, pad);
            builder.Append(digits);
            return;
        }

        Write(builder, new MarkedText(sign + digits));
    }

    private static string Lower(string text, char kind) => char.IsUpper(kind) ? text.ToUpperInvariant() : text;

    private string Whole(char kind, object value)
    {
        if (value is double)
            throw new TemplateError($"%{kind} format: an integer is required, not float");
        var number = BigInteger.Abs(Numbers.Whole(value));
        string digits = kind switch
        {
            'x' or 'X' => number.ToString("x", CultureInfo.InvariantCulture).TrimStart('0'),
            'o' => Octal(number),
            'b' => number.ToString("B", CultureInfo.InvariantCulture).TrimStart('0'),
            _ => number.ToString(CultureInfo.InvariantCulture),
        };
        digits = digits.Length == 0 ? "0" : digits;
        if (kind == 'd' && Precision is { } least)
            digits = digits.PadLeft(least, '0');
        return Lower((Alternate ? kind switch { 'x' or 'X' => "0x", 'o' => "0o", 'b' => "0b", _ => "" } : "") + digits, kind);
    }

    private static string Octal(BigInteger number)
    {
        string digits = "";
        for (; !number.IsZero; number /= 8)
            digits = (number % 8) + digits;
        return digits;
    }

    private string Floating(char kind, double value)
    {
        if (double.IsNaN(value) || double.IsInfinity(value))
            return Lower(double.IsNaN(value) ? "nan" : "inf", kind);
        int precision = Precision ?? 6;
        switch (char.ToLowerInvariant(kind))
        {
            case 'f':
                return value.ToString($"F{precision}", CultureInfo.InvariantCulture);
            case '%':
                return (value * 100).ToString($"F{precision}", CultureInfo.InvariantCulture) + "%";
            case 'e':
                return Lower(Scientific(value, precision), kind);
            default:
                precision = Math.Max(precision, 1);
                string scientific = Scientific(value, precision - 1);
                int exponent = int.Parse(scientific[(scientific.IndexOf('e', StringComparison.Ordinal) + 1)..], CultureInfo.InvariantCulture);
                string[] parts = exponent < -4 || exponent >= precision
                    ? scientific.Split('e')
                    : [value.ToString($"F{precision - 1 - exponent}", CultureInfo.InvariantCulture)];
                if (!Alternate && parts[0].Contains('.', StringComparison.Ordinal))
                    parts[0] = parts[0].TrimEnd('0').TrimEnd('.');
                return Lower(string.Join('e', parts), kind);
        }
    }

    private static string Scientific(double value, int precision)
    {
        string[] parts = value.ToString($"e{precision}", CultureInfo.InvariantCulture).Split('e');
        return $"{parts[0]}e{parts[1][0]}{parts[1][1..].TrimStart('0').PadLeft(2, '0')}";
    }

    private string Grouped(string digits)
    {
        int point = digits.IndexOfAny(['.', 'e', '%']);
        string whole = point < 0 ? digits : digits[..point];
        for (int i = whole.Length - 3; i > 0; i -= 3)
            whole = whole.Insert(i, Thousands.ToString());
        return whole + (point < 0 ? "" : digits[point..]);
    }

    private void Pad(MarkedTextBuilder builder, long times)
    {
        if (Fill.Length == 1)
        {
            builder.Append(Fill[0], times);
            return;
        }

        for (long i = 0; i < times; i++)
            builder.Append(Fill);
    }
}

using System.Globalization;
using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>Filters that give numbers.</summary>
internal static class NumberFilters
{
    /// <summary><c>int</c>: the whole number that a value or a text is; 0 or another where it is none.</summary>
    public static object? Int(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value"), otherwise = arguments.Take("default", 0L);
        long radix = arguments.Whole("base", 10);
        switch (value)
        {
            case MarkedText text:
                return Whole(text.Value, radix) ?? (Real(text.Value) is { } real && double.IsFinite(real) ? Numbers.Of(new BigInteger(real)) : otherwise);
            case UndefinedValue undefined:
                throw undefined.Error();
            case double.NaN or double.PositiveInfinity or double.NegativeInfinity:
                return otherwise;
            case double number:
                return Numbers.Of(new BigInteger(number));
            default:
                return Numbers.IsWhole(value) ? Numbers.Of(Numbers.Whole(value!)) : otherwise;
        }
    }

    /// <summary><c>float</c></summary>
    public static object? Float(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value"), otherwise = arguments.Take("default", 0.0);
        return value switch
        {
            MarkedText text => Real(text.Value) ?? otherwise,
            UndefinedValue undefined => throw undefined.Error(),
            _ => Numbers.Is(value) ? Numbers.Float(value!) : otherwise,
        };
    }

    /// <summary><c>round</c>: half to even, as Python does.</summary>
    public static object? Round(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        int digits = (int)Math.Clamp(arguments.Whole("precision", 0), -300, 300);
        string method = arguments.Text("method", "common").Value;
        if (value is UndefinedValue undefined)
            throw undefined.Error();
        if (!Numbers.Is(value))
            throw new TemplateError($"type {TypeNames.Of(value)} doesn't define __round__ method");
        double number = Numbers.Float(value!), scale = Math.Pow(10, digits);
        switch (method)
        {
            case "common":
                if (value is not double)
                    return digits >= 0 ? Numbers.Of(Numbers.Whole(value!)) : Numbers.Of(new BigInteger(Math.Round(number * scale)) * BigInteger.Pow(10, -digits));
                return digits is >= 0 and <= 15 && Math.Abs(number) < 1e15 ? (double)Math.Round((decimal)number, digits, MidpointRounding.ToEven) is var near && digits == 0 ? Math.Round(number) : Exact(number, digits, near)
                    : digits >= 0 ? number : Math.Round(number * scale) / scale;
            case "ceil":
                return Math.Ceiling(number * scale) / scale;
            case "floor":
                return Math.Floor(number * scale) / scale;
            default:
                throw new TemplateError("method must be common, ceil or floor");
        }
    }

    /// <summary><c>sum</c></summary>
    public static object? Sum(TemplateRun run, Arguments arguments)
    {
        object? values = arguments.Take("iterable"), attribute = arguments.Take("attribute", null), sum = arguments.Take("start", 0L);
        if (sum is MarkedText)
            throw new TemplateError("sum() can't sum strings: use the filter join");
        foreach (object? item in Operators.Iterate(run, values))
            sum = Operators.Binary(run, "+", sum, attribute is null ? item : AttributePath.Of(item, attribute));
        return sum;
    }

    /// <summary><c>filesizeformat</c></summary>
    public static object? FileSize(TemplateRun run, Arguments arguments)
    {
        object? value = arguments.Take("value");
        double bytes = value is MarkedText text ? Real(text.Value) ?? throw new TemplateError("could not convert string to float") : Numbers.Is(value) ? Numbers.Float(value!) : throw new TemplateError($"float() argument must be a string or a real number, not '{TypeNames.Of(value)}'");
        bool binary = arguments.Flag("binary", false);
        double unit = binary ? 1024 : 1000;
        if (bytes == 1)
            return new MarkedText("1 Byte");
        if (bytes < unit)
            return new MarkedText($"{(long)bytes} Bytes");
        string prefixes = "kMGTPEZY";
        int power = 0;
        while (power < prefixes.Length - 1 && bytes >= Math.Pow(unit, power + 2))
            power++;
        string prefix = binary ? char.ToUpperInvariant(prefixes[power]) + "iB" : prefixes[power] + "B";
        return new MarkedText($"{(bytes / Math.Pow(unit, power + 1)).ToString("F1", CultureInfo.InvariantCulture)} {prefix}");
    }

    // The digits that the number has exactly decide a tie: 2.675 is a little less.
    private static double Exact(double number, int digits, double near)
    {
        string written = number.ToString($"F{digits}", CultureInfo.InvariantCulture);
        return double.TryParse(written, CultureInfo.InvariantCulture, out double exact) ? exact : near;
    }

    private static object? Whole(string text, long radix)
    {
        string digits = text.Trim().Replace("_", "", StringComparison.Ordinal);
        bool negative = digits.StartsWith('-');
        digits = digits.TrimStart('+', '-').ToLowerInvariant();
        string prefix = radix switch { 16 => "0x", 8 => "0o", 2 => "0b", _ => "" };
        digits = prefix.Length > 0 && digits.StartsWith(prefix, StringComparison.Ordinal) ? digits[2..] : digits;
        // Longer ones have more bits than a number may.
        if (digits.Length is 0 or > 300)
            return null;
        BigInteger value = 0;
        foreach (char c in digits)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : c is >= 'a' and <= 'z' ? c - 'a' + 10 : int.MaxValue;
            if (digit >= radix)
                return null;
            value = (value * radix) + digit;
        }

        return Numbers.Of(negative ? -value : value);
    }

    private static double? Real(string text)
    {
        text = text.Trim();
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && text.Length > 0 && (char.IsAsciiDigit(text[^1]) || text[^1] == '.'))
            return number;
        return text.TrimStart('+', '-').ToLowerInvariant() switch
        {
            "inf" or "infinity" => text.StartsWith('-') ? double.NegativeInfinity : double.PositiveInfinity,
            "nan" => double.NaN,
            _ => null,
        };
    }
}

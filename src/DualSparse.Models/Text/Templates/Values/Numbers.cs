using System.Globalization;
using System.Numerics;

namespace DualSparse.Models.Text.Templates;

/// <summary>Python's numbers: whole ones of any size, and floating-point ones. True counts as 1.</summary>
internal static class Numbers
{
    // A whole number may have as many bits; templates count messages.
    private const int MostBits = 256;

    /// <summary>Whether a value is a number.</summary>
    public static bool Is(object? value) => value is long or double or bool or BigInteger;

    /// <summary>Whether a value is a whole number.</summary>
    public static bool IsWhole(object? value) => value is long or bool or BigInteger;

    /// <summary>A whole number, as it is kept.</summary>
    public static object Of(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? (object)(long)value
            : value.GetBitLength() <= MostBits ? value
            : throw new TemplateError($"a whole number has more than {MostBits} bits");

    /// <summary>The whole number that a value is.</summary>
    public static BigInteger Whole(object value) => value switch
    {
        long l => l,
        bool b => b ? 1 : 0,
        _ => (BigInteger)value,
    };

    /// <summary>The floating-point number that a value is.</summary>
    public static double Float(object value) => value is double d ? d : (double)Whole(value);

    /// <summary>A count or index that a value gives; one beyond what any string has becomes the nearest.</summary>
    public static long Count(object? value, string what = "integer") => value switch
    {
        long l => Math.Clamp(l, int.MinValue, int.MaxValue),
        bool b => b ? 1 : 0,
        BigInteger big => big.Sign < 0 ? int.MinValue : int.MaxValue,
        UndefinedValue undefined => throw undefined.Error(),
        _ => throw new TemplateError($"'{TypeNames.Of(value)}' object cannot be interpreted as an {what}"),
    };

    /// <summary>Compares two numbers; null where one is no number at all (NaN).</summary>
    public static int? Compare(object a, object b)
    {
        if (a is double || b is double)
        {
            double x = Float(a), y = Float(b);
            return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
        }

        return Whole(a).CompareTo(Whole(b));
    }

    /// <summary>An operation of two numbers: +, -, *, /, //, %, **.</summary>
    public static object Operate(string sign, object a, object b)
    {
        if (sign == "/" || a is double || b is double)
            return Floating(sign, Float(a), Float(b));
        BigInteger x = Whole(a), y = Whole(b);
        switch (sign)
        {
            case "+":
                return Of(x + y);
            case "-":
                return Of(x - y);
            case "*":
                return Of(x * y);
            case "**":
                return y < 0 ? Floating(sign, (double)x, (double)y)
                    : x.GetBitLength() * y > MostBits && !(x >= -1 && x <= 1) ? throw new TemplateError($"a whole number has more than {MostBits} bits")
                    : Of(x >= -1 && x <= 1 ? (x == -1 && y.IsEven ? 1 : y.IsZero ? 1 : x) : BigInteger.Pow(x, (int)y));
        }

        if (y.IsZero)
            throw new TemplateError("integer division or modulo by zero");
        var quotient = BigInteger.DivRem(x, y, out var rest);
        if (!rest.IsZero && (rest.Sign < 0) != (y.Sign < 0))
            (quotient, rest) = (quotient - 1, rest + y);
        return Of(sign == "//" ? quotient : rest);
    }

    /// <summary>How Python writes a floating-point number.</summary>
    public static string Text(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        if (value == 0)
            return double.IsNegative(value) ? "-0.0" : "0.0";
        // The shortest digits that mean the number, and where their point stands.
        string[] parts = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture).Split('E');
        string whole = parts[0].Split('.')[0], all = parts[0].Replace(".", "", StringComparison.Ordinal);
        string digits = all.TrimStart('0');
        int exponent = whole.Length - 1 - (all.Length - digits.Length) + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        digits = digits.TrimEnd('0');
        string sign = value < 0 ? "-" : "";
        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0)
            return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length <= exponent + 1 ? $"{sign}{digits.PadRight(exponent + 1, '0')}.0" : $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static object Floating(string sign, double x, double y)
    {
        if (sign is "/" or "//" or "%" && y == 0)
            throw new TemplateError("division by zero");
        switch (sign)
        {
            case "+":
                return x + y;
            case "-":
                return x - y;
            case "*":
                return x * y;
            case "/":
                return x / y;
            case "**":
                return x == 0 && y < 0 ? throw new TemplateError("0.0 cannot be raised to a negative power")
                    : x < 0 && !double.IsInteger(y) ? throw new TemplateError("complex numbers aren't supported") : Math.Pow(x, y);
            default:
                double rest = x % y;
                rest = rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
                return sign == "%" ? rest : Math.Round((x - rest) / y);
        }
    }
}

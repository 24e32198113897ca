using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary><c>strftime_now(format)</c>: the time as C's strftime writes it.</summary>
internal static class Strftime
{
    /// <summary>The time by a format.</summary>
    public static string Format(DateTime time, string format)
    {
        var text = new StringBuilder();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            // "%-d": without the zero before it.
            bool bare = format[i + 1] == '-' && i + 2 < format.Length;
            i += bare ? 2 : 1;
            string part = Part(time, format[i]);
            text.Append(bare ? part.TrimStart('0') is { Length: > 0 } rest ? rest : "0" : part);
        }

        return text.ToString();
    }

    private static string Part(DateTime time, char kind) => kind switch
    {
        'Y' => Of(time, "yyyy"),
        'y' => Of(time, "yy"),
        'm' => Of(time, "MM"),
        'B' => Of(time, "MMMM"),
        'b' or 'h' => Of(time, "MMM"),
        'd' => Of(time, "dd"),
        'e' => $"{time.Day,2}",
        'A' => Of(time, "dddd"),
        'a' => Of(time, "ddd"),
        'H' => Of(time, "HH"),
        'I' => Of(time, "hh"),
        'M' => Of(time, "mm"),
        'S' => Of(time, "ss"),
        'f' => Of(time, "ffffff"),
        'p' => time.Hour < 12 ? "AM" : "PM",
        'j' => $"{time.DayOfYear:000}",
        'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(CultureInfo.InvariantCulture),
        'F' => Of(time, "yyyy-MM-dd"),
        'D' or 'x' => Of(time, "MM/dd/yy"),
        'T' or 'X' => Of(time, "HH:mm:ss"),
        'R' => Of(time, "HH:mm"),
        'c' => $"{Of(time, "ddd MMM")} {time.Day,2} {Of(time, "HH:mm:ss yyyy")}",
        'U' => $"{(time.DayOfYear + 6 - (int)time.DayOfWeek) / 7:00}",
        'W' => $"{(time.DayOfYear + 6 - (((int)time.DayOfWeek + 6) % 7)) / 7:00}",
        'V' => $"{ISOWeek.GetWeekOfYear(time):00}",
        'G' => ISOWeek.GetYear(time).ToString(CultureInfo.InvariantCulture),
        'C' => $"{time.Year / 100:00}",
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        // The clock has no zone, as Python's datetime.now() has none.
        'z' or 'Z' => "",
        _ => "%" + kind,
    };

    private static string Of(DateTime time, string format) => time.ToString(format, CultureInfo.InvariantCulture);
}

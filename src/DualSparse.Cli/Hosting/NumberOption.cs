using System.CommandLine;
using System.Globalization;
using System.Numerics;

namespace DualSparse.Cli.Hosting;

/// <summary>Options whose value is a number; what isn't one is answered with the option, the text and what was expected.</summary>
internal static class NumberOption
{
    /// <summary>An option that is null unless given.</summary>
    public static Option<T?> Create<T>(string name, string description, params string[] aliases)
        where T : struct, INumber<T>, IMinMaxValue<T>
    {
        bool whole = T.IsInteger(T.One / (T.One + T.One));
        return new(name, aliases)
        {
            Description = description,
            HelpName = whole ? "n" : "x",
            CustomParser = result =>
            {
                string text = result.Tokens.Count == 0 ? "" : result.Tokens[0].Value;
                var style = whole ? NumberStyles.AllowLeadingSign : NumberStyles.Float;
                if (T.TryParse(text, style, CultureInfo.InvariantCulture, out var value))
                    return value;
                result.AddError($"{name} is '{text}', expected a {(whole ? $"whole number{(T.MinValue == T.Zero ? " from 0" : "")} up to {T.MaxValue}" : "number")}");
                return null;
            },
        };
    }
}

using System.Globalization;

namespace DualSparse.Models.Text.Templates;

/// <summary>What filters take as an attribute: names and numbers with points between, such as <c>function.parameters.0</c>.</summary>
internal static class AttributePath
{
    /// <summary>The value that stands there.</summary>
    /// <param name="item">Where to begin.</param>
    /// <param name="path">A string, a number, or null: the value itself.</param>
    /// <param name="otherwise">What counts where there is nothing.</param>
    public static object? Of(object? item, object? path, object? otherwise = null)
    {
        if (path is null)
            return item;
        object?[] parts = path is MarkedText text
            ? [.. text.Value.Split('.').Select(part => (object?)(part.Length > 0 && part.All(char.IsAsciiDigit) && long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out long index) ? index : new MarkedText(part)))]
            : [path];
        foreach (object? part in parts)
        {
            item = Attributes.Item(item, part);
            if (otherwise is not null && item is UndefinedValue)
                item = otherwise;
        }

        return item;
    }
}

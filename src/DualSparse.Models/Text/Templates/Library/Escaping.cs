namespace DualSparse.Models.Text.Templates;

/// <summary>The filters <c>escape</c> and <c>safe</c>. Nothing is escaped by itself.</summary>
internal static class Escaping
{
    /// <summary>The text as HTML; what is HTML already stays.</summary>
    public static MarkedText Escape(TemplateRun run, MarkedText text)
    {
        if (text.IsMarkup)
            return text;
        return StringMethods.Map(run, text, part => part.Replace("&", "&amp;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal).Replace("\"", "&#34;", StringComparison.Ordinal)).AsMarkup(true);
    }
}

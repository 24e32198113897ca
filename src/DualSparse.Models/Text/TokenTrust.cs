using DualSparse.Models.Text.Templates;

namespace DualSparse.Models.Text;

/// <summary>
/// Which added tokens a text may hold: all; none that is special; or, in a rendered conversation, those that the template wrote. There a special
/// token counts only where the template wrote all of it. One that isn't special, such as <c>&lt;tool_call&gt;</c>, counts in an assistant's message
/// too, whose text the model wrote with these tokens; in other text of the caller only where it is no markup of this template.
/// </summary>
internal sealed class TokenTrust
{
    /// <summary>Every token counts.</summary>
    public static readonly TokenTrust All = new(null, allowSpecial: true);

    /// <summary>No special token counts.</summary>
    public static readonly TokenTrust NoSpecial = new(null, allowSpecial: false);

    private readonly Chat? chat;
    private readonly bool allowSpecial;
    private readonly Lazy<TextRun[]> runs;

    /// <summary>The rule for a rendered conversation.</summary>
    public TokenTrust(RenderedChat rendered)
        : this(new Chat(rendered), allowSpecial: false) => runs = new(() => rendered.Marked.Runs.ToArray());

    private TokenTrust(Chat? chat, bool allowSpecial, Lazy<TextRun[]>? runs = null) => (this.chat, this.allowSpecial, this.runs) = (chat, allowSpecial, runs ?? new([]));

    /// <summary>Whether one that counts is looked for inside one that doesn't: what a user writes may reach into what the template wrote.</summary>
    public bool LooksInside => chat is not null;

    /// <summary>Whether a token that was found counts.</summary>
    /// <param name="token">The token.</param>
    /// <param name="start">Where it begins in the text.</param>
    /// <param name="end">Where it ends.</param>
    public bool Allows(AddedToken token, int start, int end)
    {
        if (chat is null)
            return allowSpecial || !token.Special;
        return Least(start, end) switch
        {
            TextOrigin.Template => true,
            TextOrigin.Model => !token.Special,
            _ => !token.Special && !chat.IsMarkup(token),
        };
    }

    /// <summary>The same for a section of the text once it is normalised.</summary>
    /// <param name="text">The text.</param>
    /// <param name="start">Where the section begins.</param>
    /// <param name="end">Where it ends.</param>
    /// <param name="normalized">The section, normalised.</param>
    /// <param name="normalizer">What normalised it.</param>
    public TokenTrust Within(string text, int start, int end, string normalized, Normalizer normalizer) =>
        chat is null ? this : new(chat, allowSpecial, new(() => Move(text, start, end, normalized, normalizer)));

    // Runs end where what stands before, normalised, ends. Where normalising joins characters across that place, the section counts as its least trusted.
    private TextRun[] Move(string text, int start, int end, string normalized, Normalizer normalizer)
    {
        List<TextRun> moved = [];
        int begin = 0;
        foreach (var run in runs.Value)
        {
            int to = Math.Min(run.End, end);
            if (to > start && begin < end)
            {
                string before = to == end ? normalized : normalizer.IsIdentity ? text[start..to] : normalizer.Apply(text[start..to]);
                if (!normalized.StartsWith(before, StringComparison.Ordinal))
                    return [new(normalized.Length, Least(start, end))];
                moved.Add(run with { End = before.Length });
            }

            begin = run.End;
        }

        return [.. moved];
    }

    private TextOrigin Least(int start, int end)
    {
        // The first run that ends behind the start.
        int low = 0, high = runs.Value.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (runs.Value[middle].End > start)
                high = middle;
            else
                low = middle + 1;
        }

        var least = TextOrigin.Template;
        for (int begin = start; low < runs.Value.Length && begin < end; begin = runs.Value[low++].End)
            least = runs.Value[low].Origin > least ? runs.Value[low].Origin : least;
        return least;
    }

    // What this conversation's template writes as markup.
    private sealed class Chat(RenderedChat rendered)
    {
        private readonly Dictionary<int, bool> known = [];

        // Added tokens are also blanks in rows, or tags of HTML: text, whoever writes them. Markup is what looks like it, or what the template writes.
        public bool IsMarkup(AddedToken token)
        {
            if (!known.TryGetValue(token.Id, out bool markup))
            {
                string content = token.Content;
                markup = !string.IsNullOrWhiteSpace(content)
                    && ((content[0] == '<' && content.Length > 2 && content[1] is '|' or '｜') || rendered.TemplateSource.Contains(content, StringComparison.Ordinal) || Writes(content));
                known[token.Id] = markup;
            }

            return markup;
        }

        // Such as '<|' + role + '|>', which the source doesn't have in one piece.
        private bool Writes(string content)
        {
            int begin = 0;
            foreach (var run in rendered.Marked.Runs)
            {
                if (run.Origin == TextOrigin.Template && rendered.Text.AsSpan(begin, run.End - begin).Contains(content, StringComparison.Ordinal))
                    return true;
                begin = run.End;
            }

            return false;
        }
    }
}

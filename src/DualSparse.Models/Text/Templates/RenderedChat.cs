namespace DualSparse.Models.Text.Templates;

/// <summary>Some characters of a rendered conversation.</summary>
/// <param name="Text">The characters.</param>
/// <param name="FromUser">They come from messages, tools or variables; false: from the template.</param>
public readonly record struct TextSegment(string Text, bool FromUser);

/// <summary>A conversation as the text that a model continues, and who wrote which part of it. <see cref="Tokenizer.Encode(RenderedChat)"/> makes ids of it.</summary>
public sealed record RenderedChat
{
    internal RenderedChat(MarkedText marked, string templateSource) => (Marked, TemplateSource) = (marked, templateSource);

    /// <summary>The text.</summary>
    public string Text => Marked.Value;

    /// <summary>The text in parts, each from one side.</summary>
    public IReadOnlyList<TextSegment> Segments
    {
        get
        {
            List<TextSegment> segments = [];
            int begin = 0;
            for (int i = 0; i < Marked.Runs.Length; i++)
            {
                bool fromUser = Marked.Runs[i].Origin != TextOrigin.Template;
                if (i + 1 < Marked.Runs.Length && Marked.Runs[i + 1].Origin != TextOrigin.Template == fromUser)
                    continue;
                segments.Add(new(Text[begin..Marked.Runs[i].End], fromUser));
                begin = Marked.Runs[i].End;
            }

            return segments;
        }
    }

    /// <summary>The text with the origin of each character.</summary>
    internal MarkedText Marked { get; }

    /// <summary>The template, for what it writes itself.</summary>
    internal string TemplateSource { get; }
}

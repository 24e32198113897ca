namespace DualSparse.Models.Text;

/// <summary>The changes made to a text before it is split.</summary>
internal sealed class Normalizer
{
    private readonly List<Func<string, string>> steps = [];

    private Normalizer()
    {
    }

    /// <summary>Nothing changes.</summary>
    public bool IsIdentity => steps.Count == 0;

    /// <summary>Reads the section <c>normalizer</c>.</summary>
    public static Normalizer Read(JsonField section)
    {
        var result = new Normalizer();
        if (!section.IsNull)
        {
            result.Add(section);
        }

        return result;
    }

    /// <summary>The normalised <paramref name="text"/>, which is valid UTF-16.</summary>
    public string Apply(string text)
    {
        foreach (Func<string, string> step in steps)
        {
            text = step(text);
        }

        return text;
    }

    private void Add(JsonField section)
    {
        switch (section.Type)
        {
            case "Sequence":
                foreach (JsonField part in section.Items("normalizers"))
                {
                    Add(part);
                }

                break;
            case "NFC":
                steps.Add(Canonical.Compose);
                break;
            case "Prepend":
                string prefix = section.Text("prepend");
                steps.Add(text => text.Length == 0 ? text : prefix + text);
                break;
            case "Replace":
                AddReplace(section);
                break;
            case "Strip":
                bool left = section.Flag("strip_left", true);
                bool right = section.Flag("strip_right", true);
                steps.Add(text =>
                {
                    text = left ? text.TrimStart() : text;
                    return right ? text.TrimEnd() : text;
                });
                break;
            default:
                throw section.NotImplemented($"the normalizer {section.Type}");
        }
    }

    private void AddReplace(JsonField section)
    {
        JsonField pattern = section.Child("pattern");
        string content = section.Text("content");
        if (pattern.Text("String", null) is string literal)
        {
            if (literal.Length == 0)
            {
                throw pattern.Expected("a string that isn't empty");
            }

            steps.Add(text => text.Replace(literal, content, StringComparison.Ordinal));
            return;
        }

        CodePointRegex regex = PreTokenizer.ReadRegex(pattern);
        steps.Add(text =>
        {
            // The text between matches and, for each match, the content.
            var collector = new SplitCollector();
            regex.Find(text, collector);
            return collector.Replace(text, content);
        });
    }
}

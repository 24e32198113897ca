namespace DualSparse.Models.Text;

/// <summary>The special ids that are put before and after a text.</summary>
/// <param name="Prefix">Before it.</param>
/// <param name="Suffix">After it.</param>
internal sealed record PostProcessor(IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix)
{
    /// <summary>Reads the section <c>post_processor</c>.</summary>
    public static PostProcessor Read(JsonField section, Vocabulary vocabulary)
    {
        var result = new PostProcessor([], []);
        if (section.IsNull)
        {
            return result;
        }

        switch (section.Type)
        {
            case "ByteLevel":
                return result;
            case "TemplateProcessing":
                return Template(section, vocabulary);
            case "Sequence":
                foreach (JsonField part in section.Items("processors"))
                {
                    PostProcessor next = Read(part, vocabulary);
                    result = new([.. next.Prefix, .. result.Prefix], [.. result.Suffix, .. next.Suffix]);
                }

                return result;
            default:
                throw section.NotImplemented($"the post-processor {section.Type}");
        }
    }

    private static PostProcessor Template(JsonField section, Vocabulary vocabulary)
    {
        List<int> prefix = [];
        List<int> suffix = [];
        int sequences = 0;
        foreach (JsonField part in section.Items("single"))
        {
            if (!part.Child("Sequence").IsNull)
            {
                sequences++;
                continue;
            }

            string name = part.Child("SpecialToken").Text("id");
            foreach (JsonField id in section.Child("special_tokens").Child(name).Items("ids"))
            {
                int value = id.AsInt(0, Vocabulary.MaxIds - 1);
                if (vocabulary.Entry(value) < 0)
                {
                    throw id.Expected("the id of a token");
                }

                (sequences == 0 ? prefix : suffix).Add(value);
            }
        }

        return sequences == 1 ? new(prefix, suffix) : throw section.Child("single").Expected("one Sequence");
    }
}

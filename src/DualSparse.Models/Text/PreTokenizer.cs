using DualSparse.Models.Text.Patterns;

namespace DualSparse.Models.Text;

/// <summary>The stages that cut a text into the words that are encoded one by one.</summary>
internal sealed class PreTokenizer
{
    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly List<IPreTokenizerStage> stages = [];
    private readonly bool? prefixSpace;

    private PreTokenizer(bool? prefixSpace) => this.prefixSpace = prefixSpace;

    /// <summary>Words are encoded over the byte alphabet.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>Reads the section <c>pre_tokenizer</c>.</summary>
    /// <param name="section">The section.</param>
    /// <param name="prefixSpace">What goes before the section's add_prefix_space of bytes; null: nothing.</param>
    public static PreTokenizer Read(JsonField section, bool? prefixSpace = null)
    {
        var result = new PreTokenizer(prefixSpace);
        if (!section.IsNull)
        {
            result.Add(section);
        }

        return result;
    }

    /// <summary>Appends the words of <paramref name="text"/> to <paramref name="words"/>.</summary>
    /// <param name="text">Normalised text between added tokens, valid UTF-16.</param>
    /// <param name="atStart">The whole text starts here.</param>
    /// <param name="words">Receives the words, none empty.</param>
    public void Split(string text, bool atStart, List<ReadOnlyMemory<char>> words)
    {
        if (text.Length == 0)
        {
            return;
        }

        if (stages.Count == 0)
        {
            words.Add(text.AsMemory());
            return;
        }

        List<ReadOnlyMemory<char>> pieces = [text.AsMemory()];
        for (int stage = 0; stage < stages.Count; stage++)
        {
            List<ReadOnlyMemory<char>> output = stage == stages.Count - 1 ? words : [];
            for (int i = 0; i < pieces.Count; i++)
            {
                stages[stage].Apply(pieces[i], atStart && i == 0, output);
            }

            pieces = output;
        }
    }

    private void Add(JsonField section)
    {
        if (ByteLevel)
        {
            throw section.NotImplemented("a pre-tokenizer after ByteLevel");
        }

        switch (section.Type)
        {
            case "Sequence":
                foreach (JsonField part in section.Items("pretokenizers"))
                {
                    Add(part);
                }

                break;
            case "ByteLevel":
                ByteLevel = true;
                if (prefixSpace ?? section.Flag("add_prefix_space", true))
                {
                    stages.Add(new PrefixStage(' ', onlyAtStart: false));
                }

                if (section.Flag("use_regex", true))
                {
                    stages.Add(new RegexStage(new CodePointRegex(Gpt2Pattern), SplitBehavior.Isolated, invert: false));
                }

                break;
            case "Split":
                AddSplit(section);
                break;
            case "Digits":
                SplitBehavior digits = section.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous;
                stages.Add(new RegexStage(new CodePointRegex(@"\p{N}"), digits, invert: false));
                break;
            case "Punctuation":
                stages.Add(new RegexStage(new CodePointRegex(UnicodeProperties.OldPunctuation), Behavior(section, "Isolated"), invert: false));
                break;
            case "WhitespaceSplit":
                stages.Add(new RegexStage(new CodePointRegex(@"\s"), SplitBehavior.Removed, invert: false));
                break;
            case "Metaspace":
                AddMetaspace(section);
                break;
            default:
                throw section.NotImplemented($"the pre-tokenizer {section.Type}");
        }
    }

    private void AddSplit(JsonField section)
    {
        JsonField pattern = section.Child("pattern");
        SplitBehavior behavior = Behavior(section, null);
        bool invert = section.Flag("invert", false);
        if (pattern.Text("String", null) is string literal)
        {
            stages.Add(new LiteralStage(literal, behavior, invert));
        }
        else
        {
            stages.Add(new RegexStage(ReadRegex(pattern), behavior, invert));
        }
    }

    private void AddMetaspace(JsonField section)
    {
        string replacement = section.Text("replacement", "▁");
        if (replacement.Length != 1)
        {
            throw section.Child("replacement").Expected("one character");
        }

        string scheme = section.Text("prepend_scheme", section.Flag("add_prefix_space", true) ? "always" : "never");
        stages.Add(new ReplaceStage(' ', replacement[0]));
        switch (scheme)
        {
            case "always" or "first":
                stages.Add(new PrefixStage(replacement[0], scheme == "first"));
                break;
            case "never":
                break;
            default:
                throw section.Child("prepend_scheme").Expected("always, first or never");
        }

        if (section.Flag("split", true))
        {
            stages.Add(new LiteralStage(replacement, SplitBehavior.MergedWithNext, invert: false));
        }
    }

    private static SplitBehavior Behavior(JsonField section, string? missing)
    {
        string name = missing is null ? section.Text("behavior") : section.Text("behavior", missing);
        return Enum.TryParse(name, out SplitBehavior behavior) && Enum.IsDefined(behavior) && !char.IsAsciiDigit(name[0])
            ? behavior
            : throw section.Child("behavior").Expected(string.Join(", ", Enum.GetNames<SplitBehavior>()));
    }

    /// <summary>Reads <c>{"Regex": "…"}</c>.</summary>
    internal static CodePointRegex ReadRegex(JsonField pattern)
    {
        string source = pattern.Text("Regex");
        try
        {
            return new CodePointRegex(source);
        }
        catch (NotSupportedException e)
        {
            throw pattern.NotImplemented($"{e.Message} in the regular expression '{JsonField.Shorten(source)}'");
        }
        catch (ArgumentException e)
        {
            throw pattern.Error($"'{JsonField.Shorten(source)}' is not a regular expression that can be used: {e.Message}", e);
        }
    }
}

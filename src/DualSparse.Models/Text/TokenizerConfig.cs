using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>
/// What a folder says about its tokenizer beside tokenizer.json: tokenizer_config.json and, for older folders that lack
/// <c>added_tokens_decoder</c> there, special_tokens_map.json and added_tokens.json. It is followed as transformers 5 follows it.
/// </summary>
internal sealed class TokenizerConfig
{
    private const string FileName = "tokenizer_config.json";

    // The largest in use are a few MB: thousands of added tokens and a chat template.
    private const long MaxFileBytes = 1L << 26;

    private static readonly string[] SpecialNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    // Classes that take tokenizer.json as it is, whatever add_prefix_space says.
    private static readonly string[] PlainClasses = ["", "PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend"];

    private readonly JsonField config;
    private readonly JsonField map;
    private readonly JsonField added;

    private TokenizerConfig(JsonField config, JsonField map, JsonField added)
    {
        (this.config, this.map, this.added) = (config, map, added);
        if (config.Flag("split_special_tokens", false))
            throw config.Child("split_special_tokens").NotImplemented("special tokens that are split like text");
    }

    /// <summary>Whether a byte-level word that starts a text gets a space before it; null: as tokenizer.json says.</summary>
    public bool? AddPrefixSpace
    {
        get
        {
            JsonField flag = config.Child("add_prefix_space");
            return flag.IsNull || PlainClasses.Contains(config.Text("tokenizer_class", "")) ? null : flag.AsFlag(false);
        }
    }

    /// <summary>Reads a folder's files; null where there is no tokenizer_config.json.</summary>
    /// <exception cref="ModelFormatException">One is damaged or asks for something that isn't implemented.</exception>
    public static TokenizerConfig? Read(string folder)
    {
        if (Parse(folder, FileName) is not { } config)
            return null;
        bool old = config.Child("added_tokens_decoder").IsNull;
        return new(config, (old ? Parse(folder, "special_tokens_map.json") : null) ?? default, (old ? Parse(folder, "added_tokens.json") : null) ?? default);
    }

    /// <summary>Adds the tokens that tokenizer.json lacks to <paramref name="tokens"/> and the vocabulary, and changes those that are described otherwise.</summary>
    /// <param name="tokens">Those of tokenizer.json.</param>
    /// <param name="vocabulary">Tokens and ids.</param>
    /// <exception cref="ModelFormatException">A token's id is another's.</exception>
    public void Complete(List<AddedToken> tokens, Vocabulary vocabulary)
    {
        JsonField decoder = config.Child("added_tokens_decoder");
        if (!decoder.IsNull)
        {
            foreach ((string id, JsonField entry) in decoder.Children())
            {
                if (!int.TryParse(id, out int value) || value is < 0 or >= Vocabulary.MaxIds)
                    throw entry.Error($"'{JsonField.Shorten(id)}' is no id from 0 to {Vocabulary.MaxIds - 1}");
                Put(tokens, vocabulary, AddedTokenReader.Token(entry, value), entry);
            }
        }

        if (!added.IsNull)
        {
            foreach ((string content, JsonField id) in added.Children())
            {
                if (content.Length > 0 && tokens.All(token => token.Content != content))
                    Put(tokens, vocabulary, new(id.AsInt(0, Vocabulary.MaxIds - 1), content, Special: false, Normalized: true, false, false, false), id);
            }
        }

        IEnumerable<JsonField> more = ((string[])["additional_special_tokens", "extra_special_tokens"])
            .Select(Named).SelectMany(field => field.Element.ValueKind switch
            {
                JsonValueKind.Array => field.Items(),
                // As multimodal models name them: a role each.
                JsonValueKind.Object => field.Children().Values,
                _ => [],
            });
        foreach (JsonField field in SpecialNames.Select(Named).Where(field => !field.IsNull).Concat(more))
        {
            MakeSpecial(tokens, vocabulary, field);
        }
    }

    /// <summary>The special ids around a text: where add_bos_token or add_eos_token is there, they decide for every class, over tokenizer.json.</summary>
    /// <param name="own">What tokenizer.json says.</param>
    /// <param name="vocabulary">Tokens and ids.</param>
    /// <param name="notes">Receives a sentence where the two differ.</param>
    /// <exception cref="ModelFormatException">A token that is to be put there isn't in the vocabulary.</exception>
    public PostProcessor Around(PostProcessor own, Vocabulary vocabulary, List<string> notes)
    {
        JsonField bos = config.Child("add_bos_token");
        JsonField eos = config.Child("add_eos_token");
        if (!IsGiven(bos) && !IsGiven(eos))
            return own;
        var result = new PostProcessor(Ids(bos, "bos_token", vocabulary, notes), Ids(eos, "eos_token", vocabulary, notes));
        if (!result.Prefix.SequenceEqual(own.Prefix))
            notes.Add(Note(bos, "before", result.Prefix, own.Prefix, vocabulary));
        if (!result.Suffix.SequenceEqual(own.Suffix))
            notes.Add(Note(eos, "after", result.Suffix, own.Suffix, vocabulary));
        return result;
    }

    // A flag that is null counts as given, and as false.
    private static bool IsGiven(JsonField flag) => flag.Element.ValueKind != JsonValueKind.Undefined;

    private static string Note(JsonField flag, string place, IReadOnlyList<int> put, IReadOnlyList<int> own, Vocabulary vocabulary)
    {
        string Show(IReadOnlyList<int> ids) => ids.Count == 0 ? "nothing" : string.Join(' ', ids.Select(vocabulary.Token));
        return $"{FileName} has {flag.Path} {(flag.AsFlag(false) ? "true" : IsGiven(flag) ? "false" : "not")}: {Show(put)} is put {place} a text, where tokenizer.json has {Show(own)}";
    }

    private static JsonField? Parse(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        if (ModelFile.TryRead(path, MaxFileBytes) is not { } bytes)
            return null;
        JsonField field = JsonField.Parse(bytes, path);
        return field.Element.ValueKind == JsonValueKind.Object ? field : throw field.Expected("an object");
    }

    private static string Content(JsonField field) => field.Element.ValueKind == JsonValueKind.Object ? field.Text("content") : field.AsText();

    private static void Put(List<AddedToken> tokens, Vocabulary vocabulary, AddedToken token, JsonField field)
    {
        AddedTokenReader.Enter(token, vocabulary, field);
        int known = tokens.FindIndex(other => other.Id == token.Id);
        if (known >= 0)
            tokens[known] = token;
        else
            tokens.Add(token);
    }

    private JsonField Named(string name) => config.Child(name) is { IsNull: false } field || map.IsNull ? config.Child(name) : map.Child(name);

    // A token that the vocabulary lacks is text: a model has no row for it.
    private static void MakeSpecial(List<AddedToken> tokens, Vocabulary vocabulary, JsonField field)
    {
        string content = Content(field);
        int id = content.Length > 0 ? vocabulary.Id(content) : -1;
        if (id < 0)
            return;
        int known = tokens.FindIndex(token => token.Id == id);
        bool described = field.Element.ValueKind == JsonValueKind.Object;
        AddedToken token = described ? AddedTokenReader.Token(field, id) with { Special = true }
            : known >= 0 ? tokens[known] with { Special = true }
            : new(id, content, Special: true, Normalized: false, false, false, false);
        if (known >= 0)
            tokens[known] = token;
        else
            tokens.Add(token);
    }

    private int[] Ids(JsonField flag, string name, Vocabulary vocabulary, List<string> notes)
    {
        if (!flag.AsFlag(false))
            return [];
        JsonField token = Named(name);
        if (token.IsNull)
        {
            notes.Add($"{FileName} has {flag.Path} true and no {name}: nothing is put there");
            return [];
        }

        return vocabulary.Id(Content(token)) is int id and >= 0 ? [id] : throw token.Expected("a token of the vocabulary");
    }
}

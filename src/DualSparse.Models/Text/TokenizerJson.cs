using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>
/// The contents of a tokenizer.json. Vocabulary and merges, nearly all of the file, are read straight from the bytes;
/// the small sections are kept as JSON.
/// </summary>
internal sealed class TokenizerJson
{
    private readonly string file;
    private readonly Dictionary<string, JsonElement> sections = new(StringComparer.Ordinal);
    private bool hasModel;

    private TokenizerJson(string file, int length)
    {
        this.file = file;

        // A token takes some 64 bytes of the file, merges included.
        Vocabulary = new(length / 64);
    }

    /// <summary>The model's own tokens.</summary>
    public Vocabulary Vocabulary { get; }

    /// <summary>The model's merges.</summary>
    public MergeTable Merges { get; } = new();

    /// <summary>The rest of the model section.</summary>
    public BpeOptions Options { get; private set; } = new();

    /// <summary>A section other than the model.</summary>
    public JsonField Section(string name) => new(file, name, sections.GetValueOrDefault(name));

    /// <summary>Reads a file's bytes.</summary>
    /// <param name="utf8">The bytes.</param>
    /// <param name="file">The file's name, for messages.</param>
    /// <exception cref="ModelFormatException">The file is damaged or its model isn't a BPE that is implemented.</exception>
    public static TokenizerJson Read(ReadOnlySpan<byte> utf8, string file)
    {
        int length = utf8.Length;
        return JsonText.Read(utf8, file, json =>
        {
            var result = new TokenizerJson(file, length);
            result.ReadTop(json);
            return result;
        });
    }

    private void ReadTop(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new ModelFormatException($"{file}: the top level is {Name(reader.TokenType)}, expected an object");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (name == "model")
            {
                ReadModel(ref reader);
            }
            else
            {
                if (!sections.TryAdd(name, JsonElement.ParseValue(ref reader)))
                {
                    throw new ModelFormatException($"{file}: '{name}' stands there twice");
                }

                Section(name).RefuseRepeats();
            }
        }

        // The reader fails at anything after the closing brace.
        reader.Read();
        if (!hasModel)
        {
            throw new ModelFormatException($"{file}: 'model' is missing");
        }
    }

    private void ReadModel(ref Utf8JsonReader reader)
    {
        Once(ref hasModel, "model");
        Expect(ref reader, JsonTokenType.StartObject, "model", "an object");
        bool hasVocabulary = false;
        bool hasMerges = false;
        Utf8JsonReader early = default;
        Dictionary<string, JsonElement> rest = new(StringComparer.Ordinal);
        JsonField Field(string name) => new(file, $"model.{name}", rest.GetValueOrDefault(name));
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "vocab":
                    Once(ref hasVocabulary, "model.vocab");
                    Expect(ref reader, JsonTokenType.StartObject, "model.vocab", "an object");
                    VocabularyReader.Read(ref reader, file, Vocabulary);
                    break;
                case "merges":
                    Once(ref hasMerges, "model.merges");
                    Expect(ref reader, JsonTokenType.StartArray, "model.merges", "an array");
                    if (hasVocabulary)
                    {
                        new MergeReader(file, Vocabulary, Merges).Read(ref reader);
                    }
                    else
                    {
                        // Merges name tokens: they wait for the vocabulary.
                        early = reader;
                        reader.Skip();
                    }

                    break;
                default:
                    if (!rest.TryAdd(name, JsonElement.ParseValue(ref reader)))
                    {
                        throw new ModelFormatException($"{file}: 'model.{name}' stands there twice");
                    }

                    if (name == "type" && Field(name).AsText() is string type && type != "BPE")
                    {
                        throw Field(name).NotImplemented($"the model {type} (only BPE is)");
                    }

                    break;
            }
        }

        if (!hasVocabulary || !hasMerges)
        {
            throw new ModelFormatException($"{file}: 'model.{(hasVocabulary ? "merges" : "vocab")}' is missing");
        }

        if (early.TokenType != JsonTokenType.None)
        {
            new MergeReader(file, Vocabulary, Merges).Read(ref early);
        }

        Options = ReadOptions(Field);
    }

    private BpeOptions ReadOptions(Func<string, JsonField> field)
    {
        foreach (string name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (field(name).AsText("").Length > 0)
            {
                throw field(name).NotImplemented($"a {name}");
            }
        }

        if (!field("dropout").IsNull && !field("dropout").Is(0))
        {
            throw field("dropout").Expected("null or 0");
        }

        string? unknown = field("unk_token").AsText(null);
        if (unknown is not null && Vocabulary.Id(unknown) < 0)
        {
            throw field("unk_token").Expected("a token of model.vocab");
        }

        return new BpeOptions
        {
            UnknownToken = unknown,
            FuseUnknown = field("fuse_unk").AsFlag(false),
            ByteFallback = field("byte_fallback").AsFlag(false),
            IgnoreMerges = field("ignore_merges").AsFlag(false),
        };
    }

    private void Once(ref bool seen, string field)
    {
        if (seen)
        {
            throw new ModelFormatException($"{file}: '{field}' stands there twice");
        }

        seen = true;
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string field, string what)
    {
        if (reader.TokenType != type)
        {
            throw new ModelFormatException($"{file}: '{field}' is {Name(reader.TokenType)}, expected {what}");
        }
    }

    /// <summary>What a JSON token is called in messages.</summary>
    internal static string Name(JsonTokenType type) => type switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "true or false",
        _ => "null",
    };
}

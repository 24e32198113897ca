using System.Text.Json;

namespace DualSparse.Models.Text;

/// <summary>
/// The contents of a tokenizer.json. Vocabulary and merges, nearly all of the file, are read straight from the bytes;
/// the small sections are kept as JSON.
/// </summary>
internal sealed class TokenizerJson
{
    private readonly string _file;
    private readonly Dictionary<string, JsonElement> _sections = new(StringComparer.Ordinal);
    private bool _hasModel;

    private TokenizerJson(string file) => _file = file;

    /// <summary>The model's own tokens.</summary>
    public Vocabulary Vocabulary { get; } = new();

    /// <summary>The model's merges.</summary>
    public MergeTable Merges { get; } = new();

    /// <summary>The rest of the model section.</summary>
    public BpeOptions Options { get; private set; } = new();

    /// <summary>A section other than the model.</summary>
    public JsonFields Section(string name) => new(_file, name, _sections.GetValueOrDefault(name));

    /// <summary>Reads a file's bytes.</summary>
    /// <param name="utf8">The bytes.</param>
    /// <param name="file">The file's name, for messages.</param>
    /// <exception cref="ModelFormatException">The file is damaged or its model isn't a BPE that is implemented.</exception>
    public static TokenizerJson Read(ReadOnlySpan<byte> utf8, string file)
    {
        var result = new TokenizerJson(file);
        try
        {
            result.ReadTop(utf8.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8);
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{file} is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine})", e);
        }
        catch (InvalidOperationException e)
        {
            // The reader's word for a string that isn't Unicode.
            throw new ModelFormatException($"{file} holds a string that is not valid Unicode", e);
        }

        return result;
    }

    private void ReadTop(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new ModelFormatException($"{_file}: the top level is {Name(reader.TokenType)}, expected an object");
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
                using var section = JsonDocument.ParseValue(ref reader);
                _sections[name] = section.RootElement.Clone();
            }
        }

        // Anything behind the closing brace is an error of the reader's.
        reader.Read();
        if (!_hasModel)
        {
            throw new ModelFormatException($"{_file}: model is missing");
        }
    }

    private void ReadModel(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject, "model", "an object");
        if (_hasModel)
        {
            throw new ModelFormatException($"{_file}: model is given twice");
        }

        _hasModel = true;
        Utf8JsonReader vocabulary = default;
        Utf8JsonReader merges = default;
        Dictionary<string, JsonElement> rest = new(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "vocab":
                    vocabulary = reader;
                    reader.Skip();
                    break;
                case "merges":
                    merges = reader;
                    reader.Skip();
                    break;
                default:
                    using (var value = JsonDocument.ParseValue(ref reader))
                    {
                        rest[name] = value.RootElement.Clone();
                    }

                    break;
            }
        }

        JsonFields Field(string name) => new(_file, $"model.{name}", rest.GetValueOrDefault(name));
        string type = Field("type").IsNull ? "BPE" : Field("type").AsText();
        if (type != "BPE")
        {
            throw Field("type").NotImplemented($"the model {type} (only BPE is)");
        }

        Expect(ref vocabulary, JsonTokenType.StartObject, "model.vocab", "an object");
        ReadVocabulary(ref vocabulary);
        Expect(ref merges, JsonTokenType.StartArray, "model.merges", "an array");
        MergeReader.Read(ref merges, _file, Vocabulary, Merges);
        Options = ReadOptions(Field);
    }

    private BpeOptions ReadOptions(Func<string, JsonFields> field)
    {
        foreach (string name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (!field(name).IsNull && field(name).AsText().Length > 0)
            {
                throw field(name).NotImplemented($"a {name}");
            }
        }

        if (!field("dropout").IsNull && !(field("dropout").Element is { ValueKind: JsonValueKind.Number } d && d.TryGetDouble(out double p) && p == 0))
        {
            throw field("dropout").Expected("null or 0");
        }

        string? unknown = field("unk_token").IsNull ? null : field("unk_token").AsText();
        if (unknown is not null && Vocabulary.Id(unknown) < 0)
        {
            throw field("unk_token").Expected("a token of model.vocab");
        }

        bool Flag(string name) => field(name).Element.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False or JsonValueKind.Null or JsonValueKind.Undefined => false,
            _ => throw field(name).Expected("true or false"),
        };
        return new BpeOptions
        {
            UnknownToken = unknown,
            FuseUnknown = Flag("fuse_unk"),
            ByteFallback = Flag("byte_fallback"),
            IgnoreMerges = Flag("ignore_merges"),
        };
    }

    private void ReadVocabulary(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string token = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id) || id < 0 || id >= Vocabulary.MaxIds)
            {
                throw new ModelFormatException(
                    $"{_file}: model.vocab: '{JsonFields.Shorten(token)}' has {Value(ref reader)}, expected an id of 0 to {Vocabulary.MaxIds - 1}");
            }

            if (!Vocabulary.TryAdd(token, id))
            {
                throw new ModelFormatException(Vocabulary.Token(id) is string other && other != token
                    ? $"{_file}: model.vocab: '{JsonFields.Shorten(token)}' and '{JsonFields.Shorten(other)}' both have the id {id}"
                    : $"{_file}: model.vocab: '{JsonFields.Shorten(token)}' is given twice");
            }
        }
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string field, string what)
    {
        if (reader.TokenType != type)
        {
            string found = reader.TokenType == JsonTokenType.None ? "missing" : Name(reader.TokenType);
            throw new ModelFormatException($"{_file}: {field} is {found}, expected {what}");
        }
    }

    private static string Value(ref Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.Number ? JsonFields.Shorten(System.Text.Encoding.UTF8.GetString(reader.ValueSpan)) : Name(reader.TokenType);

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
